package body

import (
	"errors"
	"io"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// sleepy is a body of n bytes, each of which takes its time.
type sleepy struct {
	n    int
	each time.Duration
}

func (s *sleepy) Read(p []byte) (int, error) {
	if s.n == 0 {
		return 0, io.EOF
	}
	time.Sleep(s.each)
	s.n--
	return 1, nil
}

func TestOnlyTimeSpentWaitingForTheCallerCounts(t *testing.T) {
	pace := Pace{Timeout: time.Minute, Rate: 100, After: 30 * time.Second}
	for name, c := range map[string]struct {
		each, server time.Duration // what each byte takes to come, and the server to read it
		want         error
		after        time.Duration // when it ends
	}{
		"a byte every 5 s":                       {5 * time.Second, 0, ErrTooSlow, 35 * time.Second},
		"100 bytes a second, and a bit":          {9 * time.Millisecond, 0, nil, 10_000 * 9 * time.Millisecond},
		"less, but it ends within 30 s":          {3 * time.Millisecond, 0, nil, 10_000 * 3 * time.Millisecond},
		"a server that reads a byte a second":    {0, time.Second, nil, 10_000 * time.Second},
		"both are slow, the server more so":      {9 * time.Millisecond, time.Second, nil, 10_000 * (time.Second + 9*time.Millisecond)},
		"a caller that is a little slower still": {11 * time.Millisecond, 0, ErrTooSlow, 30*time.Second + 2*time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := &Counted{}
				body := &Moving{ReadCloser: io.NopCloser(&sleepy{10_000, c.each}), Answer: httptest.NewRecorder(), In: in, Pace: pace}
				begun := time.Now()
				var err error
				for err == nil {
					_, err = body.Read(make([]byte, 10))
					if err == nil {
						time.Sleep(c.server)
					}
				}
				if errors.Is(err, io.EOF) {
					err = nil
				}
				if took := time.Since(begun); !errors.Is(err, c.want) || took < c.after || took > c.after+c.each {
					t.Errorf("after %v: %v, want %v after %v", took, err, c.want, c.after)
				}
				if !errors.Is(in.Broken(), c.want) {
					t.Errorf("the body knows of %v", in.Broken())
				}
			})
		})
	}
}
