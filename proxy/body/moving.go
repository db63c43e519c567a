package body

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// Pace is how fast a body must come.
type Pace struct {
	Timeout time.Duration // how long it may stand still
	Rate    int64         // its slowest average, in bytes a second, once it was waited for as long as After; 0: no limit
	After   time.Duration
}

// ErrTooSlow ends a body that falls behind its Pace's Rate.
var ErrTooSlow = errors.New("the request's body came more slowly than min_body_rate")

// Moving is a streamed body that must not stand still, nor crawl.
type Moving struct {
	io.ReadCloser
	Answer http.ResponseWriter // of the same request
	In     *Counted            // what it reads from, which is told why it ends
	Pace   Pace

	n      int64         // bytes read
	waited time.Duration // for the caller: what the server takes to read on does not count
}

// Read implements io.Reader.
func (b *Moving) Read(p []byte) (int, error) {
	begun := time.Now()
	b.In.setDeadline(b.Answer, begun.Add(b.Pace.Timeout))
	n, err := b.ReadCloser.Read(p)
	b.n, b.waited = b.n+int64(n), b.waited+time.Since(begun)
	if err == nil && b.waited > b.Pace.After && float64(b.n) < float64(b.Pace.Rate)*b.waited.Seconds() {
		err = ErrTooSlow
		b.In.Fail(err)
	}
	if err != nil {
		b.In.setDeadline(b.Answer, time.Time{}) // net/http goes on reading, to see a hang-up
	}
	return n, err
}
