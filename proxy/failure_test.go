package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	up "powerjob-shim/proxy/upstream"
)

func TestADialProblemIsNamedInAFewWords(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("dial tcp: %w", syscall.ECONNREFUSED), "connection refused"},
		{&net.OpError{Op: "dial", Err: &net.DNSError{Name: "secret.inside", IsNotFound: true}}, "its name cannot be resolved (no such host)"},
		{&tls.CertificateVerificationError{Err: errors.New("secret")}, "its certificate is not trusted"},
		{&net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, "connecting timed out"},
		{fmt.Errorf("dial tcp: %w", syscall.EHOSTUNREACH), "no way to its address"},
		{fmt.Errorf("dial tcp: %w", syscall.ENETUNREACH), "no way to its address"},
		{errors.New("secret"), "connecting failed"},
	} {
		if got := dialProblem(c.err); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}

func TestAFailureSaysWhatMayHaveBeenExecuted(t *testing.T) {
	stopped, stop := context.WithCancelCause(context.Background())
	stop(errStopping)
	late, cancel := context.WithTimeout(context.Background(), 0)
	defer cancel()
	gone, hangUp := context.WithCancel(context.Background())
	hangUp()
	background := context.Background()
	for _, c := range []struct {
		name   string
		ctx    context.Context
		got    up.Outcome
		err    error
		status int
		text   string
		after  up.Outcome
	}{
		{"refused", background, up.NotSent, syscall.ECONNREFUSED, 502, "Nothing was sent", up.NotSent},
		{"connecting took too long", late, up.NotSent, context.DeadlineExceeded, 502, "Nothing was sent", up.NotSent},
		{"stopping, not sent", stopped, up.NotSent, context.Canceled, 503, "nothing was sent", up.NotSent},
		{"stopping, sent", stopped, up.Unknown, context.Canceled, 504, "may have been executed", up.Unknown},
		{"too late", late, up.Unknown, context.DeadlineExceeded, 504, "may have been executed", up.Unknown},
		{"cut", background, up.Unknown, io.EOF, 502, "may have been executed", up.Unknown},
		{"an answer that cannot be passed on", background, up.Answered, errors.New("bad upgrade"), 502, "may have been executed", up.Unknown},
		{"the caller is gone", gone, up.Unknown, context.Canceled, 502, "may have been executed", up.Unknown},
	} {
		settings := settingsFor(t, "http://127.0.0.1:1")
		p := mustProxy(t, settings)
		ex := &exchange{snap: p.snap.Load(), group: p.snap.Load().groups["default"], outcome: c.got, fromUpstream: true}
		ex.server = ex.group.upstream.Servers[0]
		rec := httptest.NewRecorder()
		p.forwardFailed(rec, httptest.NewRequest(http.MethodPost, "/openApi/saveJob", nil).WithContext(c.ctx), ex, c.err)
		if rec.Code != c.status || !strings.Contains(rec.Body.String(), c.text) || !strings.HasPrefix(rec.Body.String(), `{"success":false,"data":null,"message":"powerjob-shim: `) {
			t.Errorf("%s: %d %s, want %d with %q", c.name, rec.Code, rec.Body, c.status, c.text)
		}
		if ex.outcome != c.after || ex.fromUpstream || ex.hungUp != (c.ctx == gone) {
			t.Errorf("%s: outcome %v, from the upstream %v, hung up %v", c.name, ex.outcome, ex.fromUpstream, ex.hungUp)
		}
		if rec.Header().Get("Retry-After") != "" || rec.Code == http.StatusRequestTimeout {
			t.Errorf("%s: OkHttp would send again", c.name)
		}
	}
}

// Hop-by-hop headers are removed before the shim sets its own.
func TestAConnectionHeaderCannotStripWhatTheShimSets(t *testing.T) {
	up := newRawServer(t, answerWith())
	s := newShim(t, settingsFor(t, up.url))
	raw(t, s.addr, request("GET", "/", "", "Connection: X-Forwarded-For, x-request-id, X-Forwarded-Proto", "X-Request-Id: abc"))
	for _, want := range []string{"X-Forwarded-For: 127.0.0.1", "X-Forwarded-Proto: http", "X-Request-Id: abc"} {
		name, _, _ := strings.Cut(want, ":")
		if got := lines(up.requests()[0], name); len(got) != 1 || got[0] != want {
			t.Errorf("the upstream got %q, want %q", got, want)
		}
	}
}

// A server that closes an unused connection just as a call is written to it
// leaves an unknown outcome: the shim has to be the one who closes.
func TestUnusedUpstreamConnectionsAreClosedInTime(t *testing.T) {
	closed := make(chan struct{}, 1)
	server := newUnstartedUpstream(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			closed <- struct{}{}
		}
	}
	server.Start()
	settings := settingsFor(t, server.URL)
	u := settings.Upstreams["default"]
	u.IdleTimeout = 20 * time.Millisecond
	settings.Upstreams["default"] = u
	s := newShim(t, settings)
	raw(t, s.addr, request("GET", "/", ""))
	select {
	case <-closed:
	case <-time.After(up.DefaultIdleTimeout / 2):
		t.Error("the connection is still open")
	}
}
