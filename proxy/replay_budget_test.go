package proxy

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"powerjob-shim/internal/standin/legacy"
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
		return s.active.Load() == stalled && s.bodies.Used() == stalled*4<<10
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
	s.bodies.Max = bound
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
	if n := s.bodies.Used(); n > bound || n == 0 {
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
	eventually(t, "everything is given back", func() bool { return s.bodies.Used() == 0 })
}
