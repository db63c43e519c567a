package proxy

import (
	"io"
	"net/http"
	"sync"
	"time"
)

// streamedBody makes the body of a request that is streamed fit for the Transport.
func streamedBody(out *http.Request) io.ReadCloser {
	body := io.Reader(out.Body)
	if out.ContentLength > 0 {
		// net/http's Transport reads on after the last byte, to see that
		// there is no more. By then the server may have answered and ours
		// have closed the body, and the Transport would break off the answer.
		body = io.LimitReader(body, out.ContentLength)
	}
	return io.NopCloser(body) // an attempt that could not connect must not close it
}

// roundTrip sends a request that is streamed.
//
// A server may die while the caller sends nothing of its body. The Transport would
// go on waiting for the caller, whose fault it then seemed to be.
func (ex *exchange) roundTrip(out *http.Request, srv *server, tried *sent) (*http.Response, error) {
	var (
		mu      sync.Mutex
		waiting = out.Body != nil && out.Body != http.NoBody
	)
	if waiting {
		tried.ended = func() {
			mu.Lock()
			defer mu.Unlock()
			if waiting && !ex.in.ended.Load() { // else nobody waits for the caller
				ex.in.cut.Store(true) // first: a read that begins now must see it
				_ = http.NewResponseController(&ex.answer).SetReadDeadline(time.Unix(1, 0))
			}
		}
	}
	res, err := ex.transport(srv).RoundTrip(out)
	if err == nil && tried.heard != nil {
		ex.spelled = tried.heard.Head()
	}
	mu.Lock()
	defer mu.Unlock()
	waiting = false
	return res, err
}

// transport returns the connections to use for a request that is streamed.
func (ex *exchange) transport(srv *server) *http.Transport {
	switch {
	case !srv.trusted():
		return ex.group.fresh
	case ex.underOpenAPI():
		return ex.group.transport
	}
	return ex.group.others
}

// patience is how long a server may take until its answer's header.
func (ex *exchange) patience() time.Duration {
	if ex.underOpenAPI() {
		return ex.group.settings.Timeout
	}
	return ex.group.settings.streamTimeout()
}
