package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// listenAdmin serves the admin listener with times of the test's own, and counts
// its connections.
func listenAdmin(t *testing.T, times adminTimes) (addr string, open func() int) {
	t.Helper()
	url := upstream(t, nil)
	srv, err := mustProxy(t, settingsFor(t, url)).Listen(Listeners{
		Clients: []Listener{{Address: "127.0.0.1:0"}}, Admin: "127.0.0.1:0", Gatherer: prometheus.NewRegistry(), Pprof: true, adminTimes: times,
	})
	if err != nil {
		t.Fatal(err)
	}
	counted := &countedListener{Listener: srv.admin, open: make(chan int, 1)}
	counted.open <- 0
	srv.admin = counted
	now, end := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(now, now) }()
	t.Cleanup(func() { end(); <-done })
	return srv.AdminAddr().String(), func() int { n := <-counted.open; counted.open <- n; return n }
}

// countedListener knows how many of its connections are open.
type countedListener struct {
	net.Listener
	open chan int // has the number
}

func (l *countedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return c, err
	}
	if m, ok := c.(*movingConn); ok {
		_ = m.SetWriteBuffer(16 << 10) // answers fill it soon
	}
	l.open <- <-l.open + 1
	return &countedConn{Conn: c, of: l}, nil
}

type countedConn struct {
	net.Conn
	of     *countedListener
	closed bool
}

func (c *countedConn) Close() error {
	n := <-c.of.open
	if !c.closed {
		c.closed = true
		n--
	}
	c.of.open <- n
	return c.Conn.Close()
}

// Whoever holds a connection of the admin listener and does nothing with it is
// let go; one that waits for a profile is not.
func TestAdminConnectionsThatNobodyUsesEnd(t *testing.T) {
	const short = 100 * time.Millisecond
	for name, c := range map[string]struct {
		times adminTimes
		sent  string
	}{
		"nothing after an answer": {adminTimes{idle: short}, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"},
		"a body that does not come": {adminTimes{body: short},
			"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx"},
		"a chunk that does not come": {adminTimes{body: short},
			"GET /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nx"},
	} {
		t.Run(name, func(t *testing.T) {
			addr, open := listenAdmin(t, c.times)
			conn := dial(t, addr)
			_, _ = io.WriteString(conn, c.sent)
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			answer, err := io.ReadAll(conn)
			if err != nil || statusOf(string(answer)) != 200 {
				t.Errorf("got %q, %v", answer, err)
			}
			eventually(t, "the shim has closed it", func() bool { return open() == 0 })
		})
	}
	t.Run("a reader that does not read", func(t *testing.T) {
		addr, open := listenAdmin(t, adminTimes{stall: short})
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
		eventually(t, "the shim has closed it", func() bool { return open() == 0 })
	})
	t.Run("a profile", func(t *testing.T) {
		addr, _ := listenAdmin(t, adminTimes{idle: short, stall: short, body: short})
		conn := dial(t, addr)
		_, _ = io.WriteString(conn, "GET /debug/pprof/trace?seconds=0.5 HTTP/1.1\r\nHost: a\r\n\r\n")
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		if answer, err := io.ReadAll(conn); err != nil || statusOf(string(answer)) != 200 {
			t.Errorf("%d bytes, %v", len(answer), err)
		}
	})
}
