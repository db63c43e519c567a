package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"powerjob-shim/rules/openapi"
)

func (s *shim) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-s.done:
		s.done <- err
		return err
	case <-time.After(patience):
		t.Fatal("Serve did not return")
		return nil
	}
}

func (s *shim) ask(t testing.TB, path string) (int, string) {
	t.Helper()
	res, err := http.Get("http://" + s.admin + path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func TestAClientThatOffersHTTP2IsServedInHTTP1(t *testing.T) {
	s := newShim(t, settingsFor(t, newRawServer(t, answerWith()).url))
	got := raw(t, s.addr, request("GET", "/openApi/fetchAllJob", "", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"))
	if !strings.HasPrefix(got, "HTTP/1.1 200 OK\r\n") || len(lines(got, openapi.AuthHeader)) != 1 {
		t.Errorf("the client got %q", got)
	}
	if got := raw(t, s.addr, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"); !strings.HasPrefix(got, "HTTP/1.1 505") {
		t.Errorf("prior knowledge got %q", got)
	}
}

func TestDrainLetsRequestsInFlightEnd(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	settings := settingsFor(t, upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		_, _ = io.WriteString(w, okBody)
	}))
	s := newShim(t, settings)
	answer := make(chan string, 1)
	go func() {
		answer <- raw(t, s.addr, "POST /openApi/saveJob HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
	}()
	<-arrived
	if code, body := s.ask(t, "/readyz"); code != 200 || body != "ok\n" {
		t.Errorf("before: /readyz says %d %q", code, body)
	}
	s.stop()
	eventually(t, "/readyz fails", func() bool { code, _ := s.ask(t, "/readyz"); return code == 503 })
	if code, _ := s.ask(t, "/healthz"); code != 200 {
		t.Errorf("/healthz says %d while draining", code)
	}
	eventually(t, "no new connections", func() bool {
		c, err := net.Dial("tcp", s.addr)
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	close(release)
	if got := <-answer; statusOf(got) != 200 || !strings.HasSuffix(got, okBody) {
		t.Errorf("the client got %q", got)
	}
	if err := s.wait(t); err != nil {
		t.Errorf("Serve returned %v", err)
	}
}

func TestDuringTheDelayEverythingIsServed(t *testing.T) {
	url, arrived, release := busy(t)
	settings := settingsFor(t, url)
	settings.Shutdown.Delay = time.Hour
	s := newShim(t, settings)
	slow := async(t, s.addr, request("GET", "/slow", ""))
	<-arrived
	s.stop()
	eventually(t, "draining", s.draining.Load)
	if got := raw(t, s.addr, request("GET", "/", "")); statusOf(got) != 200 {
		t.Errorf("the client got %q", got)
	}
	if code, body := s.ask(t, "/readyz"); code != 503 || !strings.Contains(body, "draining") {
		t.Errorf("/readyz says %d %q", code, body)
	}
	s.now() // a second signal
	if err := s.wait(t); err == nil || !strings.Contains(err.Error(), "at once") {
		t.Errorf("Serve returned %v", err)
	}
	release()
	<-slow
	if s.logs.FilterMessageSnippet("the grace is over").Len() != 0 || s.logs.FilterMessageSnippet("ending at once").Len() != 1 {
		t.Errorf("the log says %v", s.logs.All())
	}
}

func TestAfterTheGraceRequestsAreAnsweredAndTunnelsClosed(t *testing.T) {
	arrived := make(chan struct{}, 2)
	release := make(chan struct{})
	defer close(release)
	settings := settingsFor(t, upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			c, _, _ := http.NewResponseController(w).Hijack()
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			_, _ = c.Read(make([]byte, 1))
			_ = c.Close()
			return
		}
		arrived <- struct{}{}
		<-release
	}))
	settings.Shutdown.Grace = 50 * time.Millisecond
	s := newShim(t, settings)
	tunnel := dial(t, s.addr)
	_, _ = io.WriteString(tunnel, "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	tr := bufio.NewReader(tunnel)
	if head, _ := readRaw(tr); statusOf(head) != 101 {
		t.Fatalf("the tunnel got %q", head)
	}
	answer := make(chan string, 1)
	go func() {
		answer <- raw(t, s.addr, "POST /openApi/saveJob HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
	}()
	<-arrived
	s.stop()
	if got := <-answer; statusOf(got) != 504 || !strings.Contains(got, "may have been executed") || lines(got, openapi.AuthHeader) != nil {
		t.Errorf("the client got %q", got)
	}
	_ = tunnel.SetReadDeadline(time.Now().Add(patience))
	if _, err := tr.ReadByte(); err != io.EOF {
		t.Errorf("the tunnel ended with %v, want EOF", err)
	}
	if err := s.wait(t); err != nil {
		t.Errorf("Serve returned %v", err)
	}
	if n := s.active.Load(); n != 0 {
		t.Errorf("%d requests are still in flight", n)
	}
}

func TestATunnelGetsTheGraceToEnd(t *testing.T) {
	settings := settingsFor(t, upstream(t, func(w http.ResponseWriter, r *http.Request) {
		c, rw, _ := http.NewResponseController(w).Hijack()
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_, _ = io.Copy(c, rw)
		_ = c.Close()
	}))
	s := newShim(t, settings) // its grace is long
	tunnel := dial(t, s.addr)
	_ = tunnel.SetReadDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(tunnel, "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	r := bufio.NewReader(tunnel)
	if head, _ := readRaw(r); statusOf(head) != 101 {
		t.Fatalf("the tunnel got %q", head)
	}
	s.stop()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) { // until nobody listens any more
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			break
		}
		_ = c.Close()
		if time.Now().After(end) {
			t.Fatal("the shim goes on listening")
		}
	}
	time.Sleep(20 * time.Millisecond) // what cut tunnels did so at once
	for _, word := range []string{"ping", "pong"} {
		_, _ = io.WriteString(tunnel, word)
		got := make([]byte, len(word))
		if _, err := io.ReadFull(r, got); err != nil || string(got) != word {
			t.Fatalf("the tunnel gave %q, %v", got, err)
		}
	}
	_ = tunnel.CloseWrite()
	if rest, err := io.ReadAll(r); err != nil || len(rest) != 0 {
		t.Errorf("the tunnel ended with %q, %v", rest, err)
	}
	if err := s.wait(t); err != nil {
		t.Errorf("Serve returned %v", err)
	}
	if n := s.logs.FilterMessageSnippet("the grace is over").Len(); n != 0 {
		t.Error("the grace was over before the tunnel had ended")
	}
}
