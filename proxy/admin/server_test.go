package admin

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"powerjob-shim/internal/await"
	"powerjob-shim/proxy/admin/recent"
)

// serve serves the admin listener with times of the test's own, and counts its
// connections.
func serve(t *testing.T, after times) (addr string, open func() int64) {
	t.Helper()
	h := Handler(Options{View: seen(fakeView{}), Recent: recent.New(), Pprof: true})
	var n atomic.Int64
	srv := newServer(h, nil, after)
	srv.ConnState = func(_ net.Conn, to http.ConnState) {
		switch to {
		case http.StateNew:
			n.Add(1)
		case http.StateClosed:
			n.Add(-1)
		}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(smallBuffers{ln}) }()
	t.Cleanup(func() { _ = srv.Close(); <-done })
	return ln.Addr().String(), n.Load
}

// smallBuffers hands out connections that answers fill soon.
type smallBuffers struct{ net.Listener }

func (l smallBuffers) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		_ = c.(*net.TCPConn).SetWriteBuffer(16 << 10)
	}
	return c, err
}

// Whoever holds a connection of the admin listener and does nothing with it is
// let go; one that waits for a profile is not.
func TestAdminConnectionsThatNobodyUsesEnd(t *testing.T) {
	const short = 100 * time.Millisecond
	for name, c := range map[string]struct {
		times times
		sent  string
	}{
		"nothing after an answer": {times{idle: short}, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"},
		"a body that does not come": {times{body: short},
			"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx"},
		"a chunk that does not come": {times{body: short},
			"GET /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nx"},
	} {
		t.Run(name, func(t *testing.T) {
			addr, open := serve(t, c.times)
			conn := dial(t, addr)
			_, _ = io.WriteString(conn, c.sent)
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			answer, err := io.ReadAll(conn)
			if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200 ") {
				t.Errorf("got %q, %v", answer, err)
			}
			await.That(t, "the shim has closed it", func() bool { return open() == 0 })
		})
	}
	t.Run("a reader that does not read", func(t *testing.T) {
		addr, open := serve(t, times{stall: short})
		conn := dial(t, addr)
		// Once the shim waits, the questions fill the socket's other way.
		_ = conn.SetWriteDeadline(time.Now().Add(patience))
		for {
			if _, err := io.WriteString(conn, "GET /status HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
				if errors.Is(err, os.ErrDeadlineExceeded) {
					t.Error("the shim waits for a reader that does not read")
				}
				break
			}
		}
		await.That(t, "the shim has closed it", func() bool { return open() == 0 })
	})
	t.Run("a profile", func(t *testing.T) {
		addr, _ := serve(t, times{idle: short, stall: short, body: short})
		conn := dial(t, addr)
		_, _ = io.WriteString(conn, "GET /debug/pprof/trace?seconds=0.5 HTTP/1.1\r\nHost: a\r\n\r\n")
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		if answer, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200 ") {
			t.Errorf("%d bytes, %v", len(answer), err)
		}
	})
}
