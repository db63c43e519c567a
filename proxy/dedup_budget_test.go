package proxy

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"powerjob-shim/internal/standin/legacy"
	"powerjob-shim/proxy/listen"
)

func TestBodiesThatAreAnnouncedAndDoNotComeKeepNobodyFromBeingDeduplicated(t *testing.T) {
	const stalled = 100
	s, server := newDedup(t, legacy.Options{})
	head, _, _ := strings.Cut(save("{}"), "Content-Length:")
	for i := range stalled {
		announced := "Content-Length: 1048576"
		if i%2 == 1 {
			announced = "Transfer-Encoding: chunked"
		}
		_, _ = io.WriteString(dial(t, s.addr), head+announced+"\r\n\r\n")
	}
	eventually(t, "all of them are waited for", func() bool {
		return s.active.Load() == stalled && s.dedupState.bodies.used.Load() == stalled*firstBuffer
	})
	for _, want := range []string{"forwarded", "replayed"} {
		if got := decision(raw(t, s.addr, save(saveBody(0, "a")))); got != want {
			t.Errorf("a save was %s, want %s", got, want)
		}
	}
	wantExecuted(t, server, "saveJob", 1)
}

func TestAFloodOfBodiesStaysWithinTheBudgetAndArrivesWhole(t *testing.T) {
	const callers, size, bound = 20, 100 << 10, 256 << 10
	s, server := newDedup(t, legacy.Options{})
	s.dedupState.bodies.max = bound
	var half, all sync.WaitGroup
	rest := make(chan struct{})
	half.Add(callers)
	for i := range callers {
		all.Go(func() {
			message := save(saveBody(0, fmt.Sprint(i, strings.Repeat("x", size))))
			if i%2 == 1 {
				message = chunked(message)
			}
			c := dial(t, s.addr)
			_, _ = io.WriteString(c, message[:len(message)/2])
			half.Done()
			<-rest
			_, _ = io.WriteString(c, message[len(message)/2:])
			if answer, err := io.ReadAll(c); err != nil || statusOf(string(answer)) != 200 {
				t.Errorf("caller %d got %.200q, %v", i, answer, err)
			}
		})
	}
	half.Wait()
	eventually(t, "most are turned away", func() bool {
		return s.sum(t, "powerjob_shim_dedup_bypassed_total", "reason", "body_budget") >= callers/2
	})
	if n := s.dedupState.bodies.used.Load(); n > bound || n == 0 {
		t.Errorf("%d bytes are held, of %d", n, bound)
	}
	close(rest)
	all.Wait()
	wantExecuted(t, server, "saveJob", callers)
	for _, r := range server.Requests() {
		if r.Broken || len(r.Body) < size {
			t.Errorf("the server got %d bytes", len(r.Body))
		}
	}
	eventually(t, "everything is given back", func() bool { return s.dedupState.bodies.used.Load() == 0 })
}

// What is taken of the budget is the buffer, at any length.
func TestABodyTakesOfTheBudgetWhatItHolds(t *testing.T) {
	const limit = 64 << 10
	for _, announced := range []bool{true, false} {
		for _, size := range []int{1, firstBuffer - 1, firstBuffer, 3 * firstBuffer, limit - 1, limit, limit + 1, 2 * limit} {
			d := &dedupState{bodies: budget{max: limit + 1}}
			rd, expected := newReading(d), int64(-1)
			if announced {
				expected = int64(size)
			}
			sent := bytes.Repeat([]byte("x"), size)
			a, ok := rd.read(&movingBody{ReadCloser: io.NopCloser(iotest.HalfReader(bytes.NewReader(sent))), pace: listen.Pace{Timeout: time.Hour}}, nil, limit, expected)
			if !ok || a.err != nil || a.crowded || !bytes.Equal(a.bytes, sent[:min(size, limit+1)]) {
				t.Errorf("%d bytes: got %d, %v", size, len(a.bytes), a.err)
			}
			if taken := d.bodies.used.Load(); taken != int64(cap(a.bytes)) || taken > max(firstBuffer, 2*int64(size)) {
				t.Errorf("%d bytes: %d taken, %d held", size, taken, cap(a.bytes))
			}
			if rd.giveBack(); d.bodies.used.Load() != 0 {
				t.Errorf("%d bytes: %d not given back", size, d.bodies.used.Load())
			}
		}
	}
}

func TestABodyThatGoesOnAfterItsRequestTakesNothing(t *testing.T) {
	d := &dedupState{bodies: budget{max: 1 << 20}}
	rd := newReading(d)
	if !rd.take(100) {
		t.Fatal("an empty budget grants nothing")
	}
	rd.wasLate = true
	rd.giveBack()
	if rd.take(100) || d.bodies.used.Load() != 0 {
		t.Errorf("%d bytes are taken that nobody gives back", d.bodies.used.Load())
	}
}
