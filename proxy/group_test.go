package proxy

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestAServerThatRefusesTheConnectionIsPassedOver(t *testing.T) {
	var got atomic.Int64
	live := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if b, _ := io.ReadAll(r.Body); string(b) == "{}" {
			got.Add(1)
		}
		_, _ = io.WriteString(w, okBody)
	})
	s := newShim(t, settingsFor(t, deadServer(t), live, deadServer(t)))
	for range 50 {
		if answer := raw(t, s.addr, request("POST", "/openApi/saveJob", "{}")); statusOf(answer) != 200 {
			t.Fatalf("the client got %q", answer)
		}
	}
	if n := got.Load(); n != 50 {
		t.Errorf("the server executed %d, want 50", n)
	}
	// A server that refused is tried last for a while, so that it costs nothing.
	if n := s.sum(t, "powerjob_shim_upstream_requests_total", "code", "error"); n > 4 {
		t.Errorf("dead servers were tried %v times", n)
	}
}

func TestNothingIsSentTwiceOnceAServerHasIt(t *testing.T) {
	var executed atomic.Int64
	cut := func(w http.ResponseWriter, r *http.Request) {
		executed.Add(1)
		c, _, _ := http.NewResponseController(w).Hijack()
		_ = c.Close()
	}
	s := newShim(t, settingsFor(t, upstream(t, cut), upstream(t, cut)))
	for i, req := range []string{request("POST", "/openApi/runJob", "jobId=1"), request("POST", "/openApi/runJob?jobId=1", "")} {
		answer := raw(t, s.addr, req)
		if statusOf(answer) != 502 || !strings.Contains(answer, "may have been executed") {
			t.Errorf("the client got %q", answer)
		}
		if n := executed.Load(); n != int64(i+1) {
			t.Errorf("the servers executed %d, want %d", n, i+1)
		}
	}
}

func TestManyConcurrentRequestsReuseTheirConnections(t *testing.T) {
	var opened atomic.Int64
	release := make(chan struct{})
	up := newUnstartedUpstream(t, func(w http.ResponseWriter, _ *http.Request) { <-release; _, _ = io.WriteString(w, "ok") })
	up.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	up.Start()
	s := newShim(t, settingsFor(t, up.URL))
	const n = 100
	round := func() {
		done := make(chan string, n)
		for range n {
			go func() { done <- raw(t, s.addr, request("GET", "/", "")) }()
		}
		for range n {
			if answer := <-done; statusOf(answer) != 200 {
				t.Errorf("the client got %q", answer)
			}
		}
	}
	go func() {
		for s.active.Load() < n {
			time.Sleep(time.Millisecond)
		}
		close(release)
	}()
	round()
	before := opened.Load()
	round()
	if after := opened.Load(); after != before {
		t.Errorf("the second round opened %d connections", after-before)
	}
}
