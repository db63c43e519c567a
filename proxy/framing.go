package proxy

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"time"

	"go.uber.org/zap"
)

// maxHeaderBytes bounds a request's header; past it net/http answers 431.
// Spring Boot takes 8 KiB.
const maxHeaderBytes = 64 << 10

// framing refuses what is no request to a server or came on a connection too
// many, and closes the connection after requests whose end others might see
// elsewhere, so that nothing behind them is taken for a request:
//
//   - chunked: a Content-Length beside Transfer-Encoding is removed by net/http
//     before a handler could see it, and RFC 9112, 6.3 wants the connection
//     closed after such a request. PowerJob's clients send no chunked bodies.
//   - HTTP/1.0: net/http ignores its Transfer-Encoding, which RFC 9112, 6.1
//     calls faulty framing.
//
// What is wrong beyond doubt (two lengths, unknown codings, NUL, …) net/http
// refuses before this.
func (p *Proxy) framing(next handler) handler {
	return func(w http.ResponseWriter, r *http.Request, ex *exchange) {
		ex.lastOnConn = true
		switch {
		case crowded(r):
			ex.fail(w, http.StatusServiceUnavailable, "too many connections are open here; nothing was sent, call again later")
			return
		case r.ProtoMajor != 1: // net/http hands on "PRI * HTTP/2.0"
			ex.fail(w, http.StatusHTTPVersionNotSupported, "only HTTP/1.1 is spoken here")
			return
		case r.Method == http.MethodConnect:
			ex.fail(w, http.StatusMethodNotAllowed, "CONNECT is not served here: this is no forward proxy")
			return
		case r.RequestURI == "*":
			ex.fail(w, http.StatusBadRequest, "the target * is for OPTIONS only")
			return
		case len(r.TransferEncoding) > 0, r.ProtoMinor == 0:
			delete(r.Header, "Upgrade") // a tunnel would go on where this must end
		default:
			// While this shim is stopping, its callers should go elsewhere before
			// their connections are closed.
			ex.lastOnConn = p.draining.Load()
		}
		next(w, r, ex)
	}
}

// net/http answers an unknown transfer coding with 501, in one Write of
// exactly these bytes. To a caller that is a broken request like any other.
const (
	unsupportedCoding = "HTTP/1.1 501 Not Implemented\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\nUnsupported transfer encoding"
	refusedCoding     = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\nUnsupported transfer encoding"
)

// strictListener hands out connections on which unsupportedCoding becomes
// refusedCoding. No upstream's answer can be mistaken for it: what net/http
// writes for a handler has a Date.
type strictListener struct {
	net.Listener
	tls  *tls.Config // nil: plain HTTP
	log  *zap.Logger
	open *connections

	headerTimeout, stallTimeout time.Duration

	proxyProtocol ProxyProtocol
	trusted       func() []netip.Prefix // whose PROXY header is believed
}

func (l strictListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		tcp, ok := c.(*net.TCPConn)
		if !ok {
			return c, err
		}
		place := l.open.enter(tcp)
		if place == nil {
			_ = tcp.Close() // nothing was read
			continue
		}
		conn := l.proxied(&movingConn{TCPConn: tcp, stall: l.stallTimeout})
		switch {
		case conn == nil:
			place.leave()
			_ = tcp.Close() // nothing was read
			continue
		case l.tls != nil:
			return strictTLSConn{tls.Server(conn, l.tls), l.headerTimeout, l.log, place}, err
		}
		return strictConn{conn, place}, err
	}
}

// strictConn is a plain connection.
type strictConn struct {
	clientConn
	*place
}

// Close implements net.Conn.
func (c strictConn) Close() error {
	c.leave()
	return c.clientConn.Close()
}

func (c strictConn) Read(b []byte) (int, error) {
	if c.isStill(b) {
		return 0, nil
	}
	return c.clientConn.Read(b)
}

func (c strictConn) Write(b []byte) (int, error) { return writeStrictly(c.clientConn, b) }

func writeStrictly(c net.Conn, b []byte) (int, error) {
	if len(b) == len(unsupportedCoding) && string(b) == unsupportedCoding {
		if _, err := c.Write([]byte(refusedCoding)); err != nil {
			return 0, err
		}
		return len(b), nil
	}
	return c.Write(b)
}
