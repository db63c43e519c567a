package link

import (
	"net/http"
	"sync/atomic"

	"powerjob-shim/proxy/exchange"
	"powerjob-shim/proxy/listen"
)

// Framing is the link that looks at how a request is framed.
type Framing struct{ Draining *atomic.Bool }

// Link refuses what is not a request to a server, or came on a connection beyond the
// bound. It closes the connection after a request whose end another program might find
// in a different place, so that the bytes after it cannot be taken for a second request:
//
//   - chunked: a Content-Length beside Transfer-Encoding is removed by net/http
//     before a handler could see it, and RFC 9112, 6.3 wants the connection
//     closed after such a request. PowerJob's clients send no chunked bodies.
//   - HTTP/1.0: net/http ignores its Transfer-Encoding, which RFC 9112, 6.1
//     calls faulty framing.
//
// What is wrong beyond doubt (two lengths, unknown codings, NUL, …) net/http
// refuses before this.
func (f Framing) Link(next exchange.Handler) exchange.Handler {
	return func(w http.ResponseWriter, r *http.Request, ex *exchange.Exchange) {
		ex.LastOnConn = true
		switch {
		case listen.PlaceOf(r).Over():
			ex.Fail(w, http.StatusServiceUnavailable, "too many connections are open here; nothing was sent, call again later")
			return
		case r.ProtoMajor != 1: // net/http hands on "PRI * HTTP/2.0"
			ex.Fail(w, http.StatusHTTPVersionNotSupported, "only HTTP/1.1 is spoken here")
			return
		case r.Method == http.MethodConnect:
			ex.Fail(w, http.StatusMethodNotAllowed, "CONNECT is not served here: this is no forward proxy")
			return
		case r.RequestURI == "*":
			ex.Fail(w, http.StatusBadRequest, "the target * is for OPTIONS only")
			return
		case len(r.TransferEncoding) > 0, r.ProtoMinor == 0:
			delete(r.Header, "Upgrade") // a tunnel would outlive the request
		default:
			// While this shim is stopping, its callers should go elsewhere before
			// their connections are closed.
			ex.LastOnConn = f.Draining.Load()
		}
		next(w, r, ex)
	}
}
