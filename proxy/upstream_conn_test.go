//go:build unix

package proxy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http/httptrace"
	"sync/atomic"
	"testing"
	"time"
)

// connected returns both ends of a connection, the near one watched.
func connected(t *testing.T) (near *upstreamConn, far net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	c, err := watched(new(net.Dialer).DialContext)(context.Background(), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if far, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = c.Close(), far.Close() })
	return c.(*upstreamConn), far
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
	if _, err := io.WriteString(near, "another"); err != nil {
		t.Errorf("while the server is there: %v", err)
	}
	_, _ = io.WriteString(far, "answer")
	if _, err := near.Read(make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = near.Read(make([]byte, 1)) }() // net/http's, which waits all the time
	_ = far.Close()
	eventually(t, "the end arrives", near.gone)
	before := near.wrote.Load()
	if _, err := io.WriteString(near, "lost"); !errors.Is(err, net.ErrClosed) || near.wrote.Load() != before {
		t.Errorf("after the end: %v, %d bytes", err, near.wrote.Load()-before)
	}
}

func TestWhatTheServerHasReadIsCounted(t *testing.T) {
	near, far := connected(t)
	for i := range 1000 {
		before := near.wrote.Load()
		done := make(chan error, 1)
		go func() {
			_, err := io.WriteString(near, "x")
			done <- err
		}()
		if _, err := far.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		if near.wrote.Load() == before {
			t.Fatalf("byte %d was read before it was counted", i)
		}
		if err := <-done; err != nil || near.wrote.Load() != before+1 {
			t.Fatalf("%d bytes counted, want %d; %v", near.wrote.Load(), before+1, err)
		}
	}
	_ = near.CloseWrite()
	before := near.wrote.Load()
	if _, err := io.WriteString(near, "x"); err == nil || near.wrote.Load() != before {
		t.Errorf("a write that failed with %v counted %d bytes", err, near.wrote.Load()-before)
	}
}

func TestWhetherAnythingWasSentIsJudgedByBytes(t *testing.T) {
	a, _ := connected(t)
	b, _ := connected(t)
	other, _ := net.Pipe()
	got := func(c net.Conn) httptrace.GotConnInfo { return httptrace.GotConnInfo{Conn: c} }
	_, _ = io.WriteString(a, "an earlier request")
	var s sent
	for i, step := range []struct {
		do   func()
		want bool
	}{
		{func() {}, false},
		{func() { s.got(got(a)) }, false},
		{func() { s.got(got(b)) }, false},
		{func() { _, _ = io.WriteString(a, "not this request's") }, false},
		{func() { _, _ = io.WriteString(b, "x") }, true},
		{func() { s.got(got(a)) }, true},
		{func() { s = sent{} }, false},
		{func() { s.got(got(other)) }, true},
	} {
		if step.do(); s.any() != step.want {
			t.Errorf("step %d: sent %v, want %v", i, s.any(), step.want)
		}
	}
}

// The server closes each connection right after an answer that did not say so.
func TestCallsSurviveServersThatCloseIdleConnections(t *testing.T) {
	const calls = 1000
	var executed atomic.Int64
	closed := make(chan struct{}, calls)
	addr := accepting(t, func(c net.Conn) {
		if req, err := readRaw(bufio.NewReader(c)); err == nil && req != "" {
			executed.Add(1)
			_, _ = io.WriteString(c, answerWith())
		}
		_ = c.Close()
		closed <- struct{}{}
	})
	settings := settingsFor(t, "http://"+addr)
	settings.Rules = compileRules(t, authRule, changesRule)
	s := newShim(t, settings)
	c := dial(t, s.addr)
	_ = c.SetReadDeadline(time.Now().Add(patience))
	r := bufio.NewReader(c)
	for i := range calls {
		_, _ = io.WriteString(c, "POST /openApi/runJob HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\njobId=1")
		if answer, err := readRaw(r); err != nil || statusOf(answer) != 200 {
			t.Fatalf("call %d got %q, %v", i, answer, err)
		}
		<-closed // what is on the way at that moment is lost, and no one can help it
	}
	if n := executed.Load(); n != calls {
		t.Errorf("the server executed %d, want %d", n, calls)
	}
}
