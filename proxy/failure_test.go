package proxy

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	up "powerjob-shim/proxy/upstream"
)

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
