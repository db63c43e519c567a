package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
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
func newTLSShim(t testing.TB, s Settings, to *Redirect, challenge func(http.ResponseWriter, *http.Request) bool) (https, plain string, logs *observer.ObservedLogs) {
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
func listenTLS(t testing.TB, p *Proxy, to *Redirect, challenge func(http.ResponseWriter, *http.Request) bool) (https, plain string) {
	t.Helper()
	srv, err := p.Listen(Listeners{
		Clients: []Listener{
			{Address: "127.0.0.1:0", TLS: &tls.Config{
				Certificates: []tls.Certificate{testCertificate(t)}, NextProtos: []string{"http/1.1", acmeTLS}, MinVersion: tls.VersionTLS12,
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

func TestALPNIsHTTP1OrNothing(t *testing.T) {
	https, _, logs := newTLSShim(t, settingsFor(t, newRawServer(t, answerWith()).url), nil, nil)
	for _, c := range []struct {
		offered []string
		want    string // "": no protocol is agreed
		refused bool
	}{
		{nil, "", false},
		{[]string{"http/1.1"}, "http/1.1", false},
		{[]string{"h2", "http/1.1"}, "http/1.1", false},
		{[]string{"h2"}, "", true},
		{[]string{"h3"}, "", true},
		{[]string{"acme-tls/1"}, "acme-tls/1", false},
	} {
		conn, err := dialTLS(t, https, c.offered...)
		if refused := err != nil; refused != c.refused {
			t.Errorf("%q: %v", c.offered, err)
			continue
		}
		if got := conn.ConnectionState().NegotiatedProtocol; got != c.want {
			t.Errorf("%q: agreed on %q, want %q", c.offered, got, c.want)
		}
	}
	eventually(t, "the refusals are logged", func() bool { return logs.FilterMessage("TLS handshake failed").Len() == 2 })
}

func TestNoRequestsAreServedToACertificateAuthority(t *testing.T) {
	up := newRawServer(t, answerWith())
	https, _, _ := newTLSShim(t, settingsFor(t, up.url), nil, nil)
	c, err := dialTLS(t, https, acmeTLS)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, request("GET", "/", ""))
	if answer, _ := io.ReadAll(c); len(answer) > 0 || len(up.requests()) > 0 {
		t.Errorf("the client got %q, the upstream %q", answer, up.requests())
	}
}

func TestFramingIsAsStrictOverTLS(t *testing.T) {
	up := newRawServer(t, answerWith())
	https, _, _ := newTLSShim(t, settingsFor(t, up.url), nil, nil)
	for _, req := range []string{
		"POST /openApi/saveJob HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"POST /openApi/saveJob HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
	} {
		if answer := rawTLS(t, https, req); statusOf(answer) != 400 {
			t.Errorf("%q is answered with %q", req, answer)
		}
	}
	if got := up.requests(); len(got) > 0 {
		t.Errorf("the upstream got %q", got)
	}
}

func TestPlainHTTPToAnHTTPSListenerIsToldSo(t *testing.T) {
	https, _, _ := newTLSShim(t, settingsFor(t, deadServer(t)), nil, nil)
	if answer := raw(t, https, request("GET", "/", "")); statusOf(answer) != 400 || !strings.Contains(answer, "speaks https") {
		t.Errorf("the client got %q", answer)
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

func TestAHandshakeThatIsNotFinishedIsClosed(t *testing.T) {
	certificate := testCertificate(t)
	client, server := net.Pipe()
	defer func() { _ = client.Close() }()
	c := strictTLSConn{
		Conn:     tls.Server(server, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}),
		patience: 10 * time.Millisecond,
		log:      zap.NewNop(),
	}
	if state := c.ConnectionState(); state.HandshakeComplete {
		t.Error("the handshake is complete")
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is open")
	}
}
