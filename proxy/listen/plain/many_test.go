//go:build linux

package plain

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"powerjob-shim/internal/await"
)

// left returns how many goroutines and descriptors there are.
func left(t *testing.T) (goroutines, descriptors int) {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return runtime.NumGoroutine(), len(open)
}

// dialMany opens n connections, or as many as the process may have: both ends of
// each are here.
func dialMany(t *testing.T, s *serving, n int) (all []net.Conn) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	n = min(n, int(min(limit.Cur, 1<<20))/2-300)
	for range n {
		all = append(all, s.dial(t))
	}
	return all
}

// wantNothingLeft waits until no more is there than was.
func wantNothingLeft(t *testing.T, goroutines, descriptors int) {
	t.Helper()
	await.That(t, "goroutines and descriptors are gone", func() bool {
		g, d := left(t)
		return g <= goroutines && d <= descriptors
	})
}

func TestIdleConnectionsLeaveNothing(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "well") }, nil)
	s.dial(t).Close() // what the first connection needs is there
	await.That(t, "it is served", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.ln != nil && len(s.conns) == 0 })
	goroutines, descriptors := left(t)
	all := dialMany(t, s, 10_000)
	for _, c := range all {
		write(t, c, call("echo", ""))
	}
	for _, c := range all {
		answerOf(t, bufio.NewReaderSize(c, 512))
	}
	if now, _ := left(t); now > goroutines+len(all) {
		t.Errorf("%d goroutines for %d idle connections", now-goroutines, len(all))
	}
	for _, c := range all {
		_ = c.Close()
	}
	wantNothingLeft(t, goroutines, descriptors)
}

// Half of the callers hang up while their calls are in flight.
func TestBusyConnectionsLeaveNothing(t *testing.T) {
	release := make(chan struct{})
	var in sync.WaitGroup
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		gone := make(chan struct{})
		stop := CallerOf(r.Context()).OnGone(func() { close(gone) })
		in.Done()
		select {
		case <-gone:
		case <-release:
			stop()
		}
		_, _ = io.WriteString(w, "well")
	}, nil)
	s.dial(t).Close()
	await.That(t, "it is served", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.ln != nil && len(s.conns) == 0 })
	goroutines, descriptors := left(t)
	all := dialMany(t, s, 2_000)
	in.Add(len(all))
	for _, c := range all {
		write(t, c, call("echo", "body"))
	}
	in.Wait()
	for _, c := range all[:len(all)/2] {
		_ = c.Close()
	}
	await.That(t, "half of them have gone", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.conns) <= len(all)-len(all)/2 })
	close(release)
	for _, c := range all[len(all)/2:] {
		if status, body := answerOf(t, bufio.NewReaderSize(c, 512)); status != http.StatusOK || body != "well" {
			t.Fatalf("a caller who stayed got %d %q", status, body)
		}
		_ = c.Close()
	}
	wantNothingLeft(t, goroutines, descriptors)
}
