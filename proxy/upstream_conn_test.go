//go:build unix

package proxy

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http/httptrace"
	"sync/atomic"
	"testing"
	"time"

	up "powerjob-shim/proxy/upstream"
)

// connected returns a connection to a server that does nothing.
func connected(t *testing.T) net.Conn {
	t.Helper()
	addr := accepting(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	c, err := up.NewServer(addr, nil, new(up.Dialer)).Dial(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestWhetherAnythingWasSentIsJudgedByBytes(t *testing.T) {
	a, b := connected(t), connected(t)
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
