package forward

import (
	"errors"
	"io"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"sync"

	"go.uber.org/zap"

	"powerjob-shim/proxy/exchange"
	"powerjob-shim/proxy/upstream/conversation"
)

var errSwitched = errors.New("the server switched protocols unasked")

// held sends a held call and passes its answer on. It does what ReverseProxy does for all
// other requests, but leaves out what only streams need: watching the caller, upgrades,
// and a timer that flushes.
//
// If the answer breaks off, it panics with http.ErrAbortHandler, as ReverseProxy does.
func (f *Forwarder) held(w http.ResponseWriter, r *http.Request, ex *exchange.Exchange) {
	out := &ex.Sent.Request
	if ex.Detached && ex.Watched() { // the call outlives its caller, but r's context ends when the caller hangs up
		out = r.WithContext(f.life)
	} else {
		*out = *r
	}
	header := headers.Get().(http.Header)
	defer func() {
		clear(header)
		headers.Put(header)
	}()
	out.URL, out.Header, out.Trailer, out.Close = &ex.Sent.URL, header, nil, false
	copyEndToEnd(out.Header, r.Header)
	if _, ok := out.Header["User-Agent"]; !ok {
		out.Header["User-Agent"] = nil // else net/http would send its own
	}
	prepare(ex, out, r)

	res, err := send(ex, out)
	if err == nil && res.StatusCode == http.StatusSwitchingProtocols {
		_ = res.Body.Close() // it is the connection, which nobody can use
		err = errSwitched
	}
	if err != nil {
		failed(w, out, ex, err)
		return
	}
	ex.FromUpstream = true
	h := w.Header()
	copyEndToEnd(h, res.Header)
	for name := range res.Trailer {
		h["Trailer"] = append(h["Trailer"], name)
	}
	w.WriteHeader(res.StatusCode)
	err = f.copyAnswer(w, res)
	_ = res.Body.Close() // it was read to its end, or is given up
	if err != nil {
		f.log.Debug("an answer broke off", zap.String(exchange.FieldRequestID, ex.ID), zap.Error(err))
		panic(http.ErrAbortHandler)
	}
	passTrailers(w, res.Trailer)
}

// headers keeps empty headers of earlier requests for later ones.
var headers = sync.Pool{New: func() any { return http.Header{} }}

// passTrailers passes on an answer's trailers, announced or not.
func passTrailers(w http.ResponseWriter, trailers http.Header) {
	if len(trailers) == 0 {
		return
	}
	h := w.Header()
	for name, values := range trailers {
		if !slices.Contains(h["Trailer"], name) {
			h["Trailer"] = append(h["Trailer"], name)
		}
		h[http.TrailerPrefix+name] = values
	}
	// Trailers need a chunked answer, and net/http uses chunks once an answer is flushed.
	_ = http.NewResponseController(w).Flush() // a caller who has hung up needs no trailers
}

// copyAnswer passes an answer's body on in few pieces: bytes that have arrived are written
// together, without waiting for more. A caller who has hung up is noticed while it waits
// for the next piece.
func (f *Forwarder) copyAnswer(w http.ResponseWriter, res *http.Response) error {
	if res.Body == http.NoBody {
		return nil
	}
	arrived, _ := res.Body.(interface{ Buffered() int })
	if conversation.IsEventStream(res.Header) {
		_ = http.NewResponseController(w).Flush() // the first event may come late
	}
	buf := f.buffers.Get()
	defer f.buffers.Put(buf)
	for n := 0; ; {
		more, err := res.Body.Read(buf[n:])
		n += more
		if err == nil && n < len(buf) && arrived != nil && arrived.Buffered() > 0 {
			continue
		}
		if n > 0 {
			if _, failed := w.Write(buf[:n]); failed != nil && !errors.Is(failed, http.ErrBodyNotAllowed) {
				return failed
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		n = 0
		_ = http.NewResponseController(w).Flush() // the next Write returns the error
	}
}

// copyEndToEnd copies a header without its hop-by-hop fields (RFC 9110, 7.6.1). The two
// share the values.
func copyEndToEnd(to, from http.Header) {
	for name, values := range from {
		switch name {
		case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
			"Te", "Trailer", "Transfer-Encoding", "Upgrade":
		default:
			to[name] = values
		}
	}
	for _, line := range from["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			delete(to, textproto.CanonicalMIMEHeaderKey(textproto.TrimString(name)))
		}
	}
}
