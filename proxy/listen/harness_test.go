package listen

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"powerjob-shim/internal/bothservers"
	"powerjob-shim/internal/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

func TestRawSocketsAgainWithNetHTTPAlone(t *testing.T) {
	bothservers.Again(t, 8, regexp.MustCompile(`RawSockets`))
}

// patience bounds what should happen at once; no test that passes waits for it.
const patience = time.Minute

// house is a Lifecycle.
type house struct {
	delay, grace time.Duration
	trusted      netip.Prefix

	life     context.Context
	end      context.CancelFunc
	draining atomic.Bool
	inFlight atomic.Int64
	closed   atomic.Bool
}

func (h *house) Life() context.Context { return h.life }

func (h *house) Drain() (delay, grace time.Duration) {
	h.draining.Store(true)
	return h.delay, h.grace
}

func (h *house) InFlight() int64              { return h.inFlight.Load() }
func (h *house) End()                         { h.end() }
func (h *house) Close()                       { h.closed.Store(true) }
func (h *house) Trusts(proxy netip.Addr) bool { return h.trusted.Contains(proxy) }

// serving is a Server that serves.
type serving struct {
	*Server
	house     *house
	addr      string // of the first listener
	logs      *observer.ObservedLogs
	stop, now context.CancelFunc
	done      chan error // what Serve returned
}

// open serves h, which is counted as the Proxy counts, at these listeners, whose
// addresses it chooses.
func open(t testing.TB, house *house, h http.HandlerFunc, at ...Listener) *serving {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	for i := range at {
		at[i].Address = "127.0.0.1:0"
	}
	house.life, house.end = context.WithCancel(context.Background())
	counted := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		house.inFlight.Add(1)
		defer house.inFlight.Add(-1)
		h(w, r)
	})
	srv, err := Open(Config{Handler: counted, Life: house, Logger: zap.New(core), ErrorLog: quiet, Clients: at, Plain: calls()})
	if err != nil {
		t.Fatal(err)
	}
	s := &serving{Server: srv, house: house, addr: srv.Addrs()[0].String(), logs: logs, done: make(chan error, 1)}
	var stop, now context.Context
	stop, s.stop = context.WithCancel(context.Background())
	now, s.now = context.WithCancel(context.Background())
	go func() { s.done <- srv.Serve(stop, now) }()
	t.Cleanup(func() {
		s.now()
		s.stop()
		_ = s.wait(t)
	})
	return s
}

// wait returns what Serve returned.
func (s *serving) wait(t testing.TB) error {
	t.Helper()
	select {
	case err := <-s.done:
		s.done <- err
		return err
	case <-time.After(patience):
		t.Error("Serve did not return")
		return nil
	}
}

// calls is what Config.Plain is in tests.
func calls() func(target string, length int64) bool {
	if bothservers.Alone() {
		return nil
	}
	return func(target string, _ int64) bool { return strings.HasPrefix(target, "/openApi/") }
}

// A plain call, and one after which the connection closes.
const (
	call    = "POST /openApi/saveJob HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"
	closing = "POST /openApi/saveJob HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
)

// secure is the configuration of a listener with httptest's certificate.
func secure(t testing.TB) *tls.Config {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	return &tls.Config{Certificates: s.TLS.Certificates[:1:1], NextProtos: []string{"http/1.1", acmeTLS}, MinVersion: tls.VersionTLS12}
}

func dial(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c.(*net.TCPConn)
}

// dialTLS shakes hands, offering these protocols; none: no ALPN at all.
func dialTLS(t testing.TB, addr string, protocols ...string) (*tls.Conn, error) {
	t.Helper()
	c := tls.Client(dial(t, addr), &tls.Config{InsecureSkipVerify: true, NextProtos: protocols})
	return c, c.Handshake()
}

// raw sends bytes and returns everything that comes back until the connection is
// closed.
func raw(t testing.TB, addr, request string) string {
	t.Helper()
	return exchange(dial(t, addr), request)
}

func exchange(c net.Conn, request string) string {
	_, _ = io.WriteString(c, request) // the other side may refuse in the middle
	var b bytes.Buffer
	_, _ = b.ReadFrom(c) // a reset ends it too
	return b.String()
}

// statusOf returns the status code of a raw answer, 0 if the answer has no status line.
func statusOf(answer string) int {
	fields := strings.Fields(answer)
	if len(fields) < 2 {
		return 0
	}
	code, _ := strconv.Atoi(fields[1])
	return code
}

// tcpPair returns the two ends of a connection.
func tcpPair(t testing.TB) (accepted, dialed *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	dialed = dial(t, ln.Addr().String())
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.(*net.TCPConn), dialed
}
