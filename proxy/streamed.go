package proxy

import (
	"io"
	"net/http"
	"time"

	"powerjob-shim/proxy/upstream/conversation"
)

// streamedBody makes the body of a request that is streamed fit to be written by
// net/http's Request.Write.
func streamedBody(out *http.Request) io.ReadCloser {
	body := io.Reader(out.Body)
	if out.ContentLength > 0 {
		// Request.Write reads on after the last byte, to see that there is no
		// more. By then the server may have answered and ours have closed the
		// body: the answer would be broken off.
		body = io.LimitReader(body, out.ContentLength)
	}
	return io.NopCloser(body) // an attempt that could not connect must not close it
}

// stream sends a request that is streamed.
//
// A server may die while the caller sends nothing of its body. Whoever waits for
// the caller then must not go on, nor seem to have failed through his fault.
func (ex *exchange) stream(out *http.Request) (*http.Response, error) {
	return ex.group.connections.Stream(conversation.Stream{Request: out, Head: ex.spelled, HeadTimeout: ex.patience(), Ended: func() {
		if !ex.in.ended.Load() { // else nobody waits for the caller
			ex.in.cut.Store(true) // first: a read that begins now must see it
			_ = http.NewResponseController(&ex.answer).SetReadDeadline(time.Unix(1, 0))
		}
	}})
}

// patience is how long a server may take until its answer's header.
func (ex *exchange) patience() time.Duration {
	if ex.underOpenAPI() {
		return ex.group.settings.Timeout
	}
	return ex.group.settings.streamTimeout()
}
