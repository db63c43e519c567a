//go:build unix

package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"powerjob-shim/internal/peer"
)

// connected returns both ends of a connection, the near one watched.
func connected(t *testing.T) (near *Watched, far net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	c, err := NewServer(ln.Addr().String(), nil, new(Dialer)).Dial(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if far, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = c.Close(), far.Close() })
	return c.(*Watched), far
}

func TestNothingIsWrittenToAServerThatHasGone(t *testing.T) {
	near, far := connected(t)
	if _, err := io.WriteString(near, "request"); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(far, "answer")
	if _, err := near.Read(make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	near.Begin(nil)
	if _, err := io.WriteString(near, "another"); err != nil {
		t.Errorf("while the server is there: %v", err)
	}
	_, _ = io.WriteString(far, "answer")
	if _, err := near.Read(make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = near.Read(make([]byte, 1)) }() // net/http's, which waits all the time
	_ = far.Close()
	for end := time.Now().Add(30 * time.Second); peer.Poll(near.raw) != peer.Gone; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("the end did not arrive")
		}
	}
	near.Begin(nil)
	before := near.Wrote()
	if _, err := io.WriteString(near, "lost"); !errors.Is(err, net.ErrClosed) || near.Wrote() != before {
		t.Errorf("after the end: %v, %d bytes", err, near.Wrote()-before)
	}
}

func TestWhatTheServerHasReadIsCounted(t *testing.T) {
	near, far := connected(t)
	for i := range 1000 {
		before := near.Wrote()
		done := make(chan error, 1)
		go func() {
			_, err := io.WriteString(near, "x")
			done <- err
		}()
		if _, err := far.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		if near.Wrote() == before {
			t.Fatalf("byte %d was read before it was counted", i)
		}
		if err := <-done; err != nil || near.Wrote() != before+1 {
			t.Fatalf("%d bytes counted, want %d; %v", near.Wrote(), before+1, err)
		}
	}
	_ = near.CloseWrite()
	near.Begin(nil)
	before := near.Wrote()
	if _, err := io.WriteString(near, "x"); err == nil || near.Wrote() != before {
		t.Errorf("a write that failed with %v counted %d bytes", err, near.Wrote()-before)
	}
}
