package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"powerjob-shim/proxy/listen"
)

// testCertificate is httptest's.
func testCertificate(t testing.TB) tls.Certificate {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	return s.TLS.Certificates[0]
}

// newTLSShim serves https, and plain HTTP with to; it returns both addresses.
func newTLSShim(t testing.TB, s Settings, to *listen.Redirect, challenge func(http.ResponseWriter, *http.Request) bool) (https, plain string, logs *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	p, err := New(Options{Logger: zap.New(core)}, s)
	if err != nil {
		t.Fatal(err)
	}
	https, plain = listenTLS(t, p, to, challenge)
	return https, plain, logs
}

// listenTLS serves p as newTLSShim says.
func listenTLS(t testing.TB, p *Proxy, to *listen.Redirect, challenge func(http.ResponseWriter, *http.Request) bool) (https, plain string) {
	t.Helper()
	srv, err := p.Listen(Listeners{
		Clients: []listen.Listener{
			{Address: "127.0.0.1:0", TLS: &tls.Config{
				Certificates: []tls.Certificate{testCertificate(t)}, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12,
			}},
			{Address: "127.0.0.1:0", Redirect: to},
		},
		Challenge: challenge,
	})
	if err != nil {
		t.Fatal(err)
	}
	now, end := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(now, now) }()
	t.Cleanup(func() { end(); <-done })
	return srv.Addrs()[0].String(), srv.Addrs()[1].String()
}

// dialTLS shakes hands, offering these protocols; none: no ALPN at all.
func dialTLS(t testing.TB, addr string, protocols ...string) (*tls.Conn, error) {
	t.Helper()
	c := tls.Client(dial(t, addr), &tls.Config{InsecureSkipVerify: true, NextProtos: protocols})
	_ = c.SetDeadline(time.Now().Add(patience))
	return c, c.Handshake()
}

func rawTLS(t testing.TB, addr, request string) string {
	t.Helper()
	c, err := dialTLS(t, addr)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, request) // the other side may refuse in the middle
	answer, _ := io.ReadAll(c)        // a reset ends it too
	return string(answer)
}

func TestOverTLSTheUpstreamIsToldSoAndTheHeaderHasItsCase(t *testing.T) {
	up := newRawServer(t, answerWith())
	https, _, _ := newTLSShim(t, settingsFor(t, up.url), nil, nil)
	answer := rawTLS(t, https, request("POST", "/openApi/runJob", "jobId=1"))
	if found := lines(answer, "x-powerjob-auth-passed"); len(found) != 1 || found[0] != "X-POWERJOB-AUTH-PASSED: true" {
		t.Errorf("the client got %q", answer)
	}
	if found := lines(up.requests()[0], "x-forwarded-proto"); len(found) != 1 || found[0] != "X-Forwarded-Proto: https" {
		t.Errorf("the upstream got %q", up.requests()[0])
	}
}

func TestAHangUpIsSeenOverTLS(t *testing.T) {
	seen := make(chan struct{})
	https, _, _ := newTLSShim(t, settingsFor(t, upstream(t, func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		close(seen)
	})), nil, nil)
	c, err := dialTLS(t, https)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
	time.AfterFunc(50*time.Millisecond, func() { _ = c.Close() })
	select {
	case <-seen:
	case <-time.After(patience):
		t.Error("the upstream's request goes on")
	}
}

func TestATunnelWorksOverTLS(t *testing.T) {
	https, _, _ := newTLSShim(t, settingsFor(t, upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
		_, _ = io.CopyN(conn, rw, 5)
	})), nil, nil)
	c, err := dialTLS(t, https)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	r := bufio.NewReader(c)
	if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %v, %v", res, err)
	}
	_, _ = io.WriteString(c, "hello")
	if got, _ := io.ReadAll(r); string(got) != "hello" {
		t.Errorf("the tunnel gave %q", got)
	}
}
