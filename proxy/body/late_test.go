package body

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// deadlines is an answer's writer on a connection with a read deadline.
type deadlines struct {
	http.ResponseWriter
	until atomic.Pointer[time.Time]
}

// SetReadDeadline is what http.ResponseController looks for.
func (d *deadlines) SetReadDeadline(t time.Time) error {
	d.until.Store(&t)
	return nil
}

// A body that is late goes on as a stream: while it moves it may take its time.
func TestALateBodyMayTakeItsTimeWhileItMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout, pieces = 3 * time.Second, 18
		conn := &deadlines{ResponseWriter: httptest.NewRecorder()}
		from, to := io.Pipe()
		body := &Moving{ReadCloser: from, Answer: conn, In: &Counted{}, Pace: Pace{Timeout: timeout}}
		rd := newReading(&Holder{Max: 1 << 20})
		go func() {
			for range pieces {
				time.Sleep(time.Second)
				if until := conn.until.Load(); until != nil && !until.IsZero() && !time.Now().Before(*until) {
					_ = to.CloseWithError(http.ErrHandlerTimeout) // what a connection does
					return
				}
				_, _ = to.Write([]byte("a"))
			}
			_ = to.Close()
		}()
		began := time.Now()
		if _, ok := rd.read(body, nil, 1<<10, pieces); ok || time.Since(began) != timeout {
			t.Fatalf("after %v: read %t, want a late body", time.Since(began), ok)
		}
		streamed := &Moving{ReadCloser: refilled{&late{rd.arrives, from}, from}, Answer: conn, In: &Counted{}, Pace: Pace{Timeout: timeout}}
		if got, err := io.ReadAll(streamed); len(got) != pieces || err != nil {
			t.Errorf("after %v: %d bytes, %v; want %d", time.Since(began), len(got), err, pieces)
		}
	})
}
