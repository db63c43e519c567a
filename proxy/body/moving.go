package body

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// Pace is how fast a body must arrive.
type Pace struct {
	Timeout time.Duration // how long it may pause
	Rate    int64         // the lowest allowed average, in bytes a second; 0: no limit
	After   time.Duration // Rate applies once reads have waited this long in all
}

// ErrTooSlow is the error of reading a body that falls behind its Pace's Rate.
var ErrTooSlow = errors.New("the request's body came more slowly than min_body_rate")

// Moving is a streamed body that must arrive at a Pace.
type Moving struct {
	io.ReadCloser
	Answer http.ResponseWriter // of the same request
	In     *Counted            // counts the same body; told if the body is too slow
	Pace   Pace

	n      int64         // bytes read
	waited time.Duration // in reads; the time between reads is the server's, and does not count
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
		b.In.setDeadline(b.Answer, time.Time{}) // net/http goes on reading, to notice a hang-up
	}
	return n, err
}
