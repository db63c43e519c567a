package body

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"powerjob-shim/internal/leaks"
	"powerjob-shim/rules"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// What is taken of the budget is the buffer, at any length.
func TestABodyTakesOfTheBudgetWhatItHolds(t *testing.T) {
	const limit = 64 << 10
	for _, announced := range []bool{true, false} {
		for _, size := range []int{1, firstBuffer - 1, firstBuffer, 3 * firstBuffer, limit - 1, limit, limit + 1, 2 * limit} {
			h := &Holder{Max: limit + 1}
			rd, expected := newReading(h), int64(-1)
			if announced {
				expected = int64(size)
			}
			sent := bytes.Repeat([]byte("x"), size)
			a, ok := rd.read(&Moving{ReadCloser: io.NopCloser(iotest.HalfReader(bytes.NewReader(sent))), Pace: Pace{Timeout: time.Hour}}, nil, limit, expected)
			if !ok || a.err != nil || a.crowded || !bytes.Equal(a.bytes, sent[:min(size, limit+1)]) {
				t.Errorf("%d bytes: got %d, %v", size, len(a.bytes), a.err)
			}
			if taken := h.Used(); taken != int64(cap(a.bytes)) || taken > max(firstBuffer, 2*int64(size)) {
				t.Errorf("%d bytes: %d taken, %d held", size, taken, cap(a.bytes))
			}
			if rd.giveBack(); h.Used() != 0 {
				t.Errorf("%d bytes: %d not given back", size, h.Used())
			}
		}
	}
}

func TestABodyThatGoesOnAfterItsRequestTakesNothing(t *testing.T) {
	h := &Holder{Max: 1 << 20}
	rd := newReading(h)
	if !rd.take(100) {
		t.Fatal("an empty budget grants nothing")
	}
	rd.wasLate = true
	rd.giveBack()
	if rd.take(100) || h.Used() != 0 {
		t.Errorf("%d bytes are taken that nobody gives back", h.Used())
	}
}

// inPieces is a body that comes in three pieces, each after a while.
type inPieces struct {
	pieces []string
	every  time.Duration
	err    error // at its end
}

func (b *inPieces) Read(p []byte) (int, error) {
	if len(b.pieces) == 0 {
		return 0, b.err
	}
	time.Sleep(b.every)
	n := copy(p, b.pieces[0])
	if b.pieces[0] = b.pieces[0][n:]; b.pieces[0] == "" {
		b.pieces = b.pieces[1:]
	}
	return n, nil
}

func (*inPieces) Close() error { return nil }

func TestWhatIsNotHeldStillArrivesWhole(t *testing.T) {
	pieces := []string{"one ", "two ", strings.Repeat("three ", 1<<10)} // more than the first buffer
	sent := strings.Join(pieces, "")
	size := int64(len(sent))
	for _, c := range []struct {
		name       string
		length     int64 // announced; -1: none
		limit, max int64
		every      time.Duration
		end        error
		why        string
		err        error
	}{
		{"a body", size, size, 1 << 20, 0, io.EOF, "", nil},
		{"one without a length", -1, size, 1 << 20, 0, io.EOF, "", nil},
		{"none", 0, size, 1 << 20, 0, io.EOF, "", nil},
		{"too large, as announced", size, size - 1, 1 << 20, 0, io.EOF, rules.BypassBodyTooLarge, nil},
		{"too large, as it turns out", -1, size - 1, 1 << 20, 0, io.EOF, rules.BypassBodyTooLarge, nil},
		{"no budget", size, size, firstBuffer, 0, io.EOF, rules.BypassBodyBudget, nil},
		{"late", size, size, 1 << 20, HoldTimeout / 2, io.EOF, rules.BypassBodyTimeout, nil},
		{"cut off", size + 1, size + 1, 1 << 20, 0, io.ErrUnexpectedEOF, "", ErrCut},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				from := &inPieces{slices.Clone(pieces), c.every, c.end}
				if c.length == 0 {
					from.pieces = nil
				}
				in := &Counted{ReadCloser: from}
				r := &http.Request{ContentLength: c.length, Body: in}
				h := &Holder{Max: c.max}
				held, err := h.Hold(r, Incoming{In: in, Answer: httptest.NewRecorder(), Pace: Pace{Timeout: time.Hour}, Limit: c.limit})
				if !errors.Is(err, c.err) || held.Why != c.why {
					t.Fatalf("held %q, %q, %v", held.Bytes, held.Why, err)
				}
				got := held.Bytes
				if held.Why != "" {
					if got, err = io.ReadAll(r.Body); err != nil {
						t.Errorf("the rest: %v", err)
					}
				}
				want := sent
				if c.length == 0 || c.err != nil {
					want = ""
				}
				if string(got) != want {
					t.Errorf("%d bytes arrived, want %d: %.20q", len(got), len(want), got)
				}
				if held.Release(); h.Used() != 0 {
					t.Errorf("%d bytes of the budget are gone", h.Used())
				}
				if c.err == nil && (!in.Ended() && c.length != 0 || in.N() != int64(len(got)) || in.Broken() != nil) {
					t.Errorf("%d bytes counted, ended %t, broken %v", in.N(), in.Ended(), in.Broken())
				}
			})
		})
	}
}
