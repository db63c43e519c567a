package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"powerjob-shim/internal/tcpfaults"
	"powerjob-shim/proxy/body"
	"powerjob-shim/proxy/listen"
)

// endless is a server whose answers to /endless do not end by themselves;
// serving counts them.
func endless(t *testing.T) (url string, serving *atomic.Int64) {
	serving = new(atomic.Int64)
	piece := make([]byte, 64<<10)
	url = upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/endless" {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, okBody)
			return
		}
		serving.Add(1)
		defer serving.Add(-1)
		for {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	})
	return url, serving
}

// wantsServed calls until the shim has room for the call again.
func wantsServed(t *testing.T, addr string) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		got := raw(t, addr, request("GET", "/", ""))
		if statusOf(got) == 200 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("strangers hold the shim: %q", got)
		}
	}
}

func TestReadersThatDoNotReadAreLetGo(t *testing.T) {
	for name, secure := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			url, serving := endless(t)
			settings := settingsFor(t, url)
			u := settings.Upstreams["default"]
			u.MaxRequests = 3
			settings.Upstreams["default"] = u
			at := listen.Listener{StallTimeout: 200 * time.Millisecond}
			if secure {
				at.TLS = &tls.Config{Certificates: []tls.Certificate{testCertificate(t)}, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12}
			}
			s := newShimAt(t, settings, nil, nil, at)
			for range 3 {
				var c net.Conn = dial(t, s.addr)
				if secure {
					c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
				}
				if _, err := io.WriteString(c, request("GET", "/endless", "")); err != nil {
					t.Fatal(err)
				}
			}
			for end := time.Now().Add(patience); s.logs.FilterMessage("request").Len() < 3 || serving.Load() > 0; time.Sleep(5 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("%d requests have ended, the server serves %d", s.logs.FilterMessage("request").Len(), serving.Load())
				}
			}
			if line := s.logLine(t, 0); line["error"] != listen.ErrStalled.Error() {
				t.Errorf("the log says %v", line)
			}
			if !secure {
				wantsServed(t, s.addr)
			}
		})
	}
}

func TestUploadsThatCrawlDoNotHoldTheShim(t *testing.T) {
	url, _ := endless(t)
	settings := settingsFor(t, url)
	u := settings.Upstreams["default"]
	u.MaxRequests = 1
	settings.Upstreams["default"] = u
	s := newShimAt(t, settings, nil, nil, listen.Listener{MinBodyRate: 100_000, RateAfter: 100 * time.Millisecond})
	c := dial(t, s.addr)
	_, _ = io.WriteString(c, "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	go func() {
		for ctx.Err() == nil {
			_, _ = io.WriteString(c, "x")
			time.Sleep(10 * time.Millisecond)
		}
	}()
	buf := make([]byte, 4096)
	_ = c.SetReadDeadline(time.Now().Add(patience))
	n, err := c.Read(buf)
	cancel()
	if answer := string(buf[:n]); err != nil || statusOf(answer) != 400 || !strings.Contains(answer, "min_body_rate") || !strings.Contains(answer, "Connection: close") {
		t.Errorf("the caller got %q, %v", answer, err)
	}
	_ = c.SetReadDeadline(time.Now().Add(bodyTimeoutByDefault / 2))
	if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the rest of its body is waited for")
	}
	wantsServed(t, s.addr)
	if line := s.logLine(t, 0); line["status"] != int64(400) || !strings.Contains(line["error"].(string), body.ErrTooSlow.Error()) {
		t.Errorf("the log says %v", line)
	}
}

// A stopped server takes connections, and nothing of what is sent on them.
func TestAnUploadToAStoppedServerEnds(t *testing.T) {
	done := make(chan struct{})
	defer close(done)
	settings := settingsFor(t, "http://"+tcpfaults.Serve(t, func(c net.Conn) {
		<-done
		_ = c.Close()
	}))
	u := settings.Upstreams["default"]
	u.StreamTimeout = 200 * time.Millisecond
	settings.Upstreams["default"] = u
	s := newShim(t, settings)
	c := dial(t, s.addr)
	go func() {
		_, _ = io.WriteString(c, "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n")
		_, _ = io.Copy(c, strings.NewReader(strings.Repeat("x", 99999999))) // ends with the connection
	}()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	answer, err := readRaw(bufio.NewReader(c))
	if err != nil || statusOf(answer) != 504 {
		t.Errorf("the caller got %q, %v", answer, err)
	}
}
