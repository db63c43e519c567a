package body

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// counting counts how often a deadline for reading is set.
type counting struct {
	http.ResponseWriter
	set int
}

func (d *counting) SetReadDeadline(time.Time) error { d.set++; return nil }

// waiting is a body of whose caller nothing comes until interrupt.
type waiting chan struct{}

func (w waiting) Read([]byte) (int, error) { <-w; return 0, errors.New("the deadline") }
func (w waiting) Close() error             { return nil }

func TestNothingIsReadWhenTheHandlerHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		caller := make(waiting)
		in := &Counted{ReadCloser: caller}
		answer := &counting{ResponseWriter: httptest.NewRecorder()}
		moving := &Moving{ReadCloser: in, Answer: answer, In: in, Pace: Pace{Timeout: time.Minute}}
		ended := false
		go func() {
			_, _ = moving.Read(make([]byte, 1))
			ended = true
		}()
		synctest.Wait()
		if !in.Release(func() { close(caller) }) {
			t.Error("nothing was waiting for the caller")
		}
		synctest.Wait()
		if !ended {
			t.Error("the Read goes on")
		}
		if _, err := moving.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("then reading ends with %v", err)
		}
		if answer.set != 1 {
			t.Errorf("%d deadlines, want that of the first Read", answer.set)
		}
		if in.Broken() != nil {
			t.Errorf("the caller is blamed: %v", in.Broken())
		}
		if in.Release(func() { t.Error("interrupted") }) {
			t.Error("something is waiting for the caller")
		}
	})
}
