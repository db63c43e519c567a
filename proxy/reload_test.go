package proxy

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	up "powerjob-shim/proxy/upstream"
)

func TestSwapsUnderLoadLoseNothing(t *testing.T) {
	const callers, calls, swaps = 8, 125, 100
	var executed atomic.Int64
	up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if b, err := io.ReadAll(r.Body); err == nil && len(b) == 2 {
			executed.Add(1)
		}
		_, _ = io.WriteString(w, okBody)
	})
	s := newShim(t, settingsFor(t, up))
	wait := onConnections(t, s.addr, callers, func(_ int, ask asking) {
		for range calls {
			answer, err := ask("POST /openApi/saveJob HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
			if err != nil || statusOf(answer) != 200 {
				t.Errorf("a caller got %q, %v", answer, err)
				return
			}
		}
	})
	for i := range swaps {
		settings := settingsFor(t, up)
		if i%2 == 0 { // a changed group, not only a new snapshot
			u := settings.Upstreams["default"]
			u.Timeout += time.Duration(i)
			settings.Upstreams["default"] = u
		}
		if err := s.Swap(settings); err != nil {
			t.Fatal(err)
		}
	}
	wait()
	if n := executed.Load(); n != callers*calls {
		t.Errorf("the server executed %d, want %d", n, callers*calls)
	}
}

func TestARequestKeepsTheSettingsItBeganWith(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	s := newShim(t, settingsFor(t, upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		_, _ = io.WriteString(w, okBody)
	})))
	answer := make(chan string, 1)
	go func() { answer <- raw(t, s.addr, request("POST", "/openApi/saveJob", "{}")) }()
	<-arrived
	other := newRawServer(t, answerWith())
	settings := settingsFor(t, other.url)
	settings.Rules = compileRules(t)
	if err := s.Swap(settings); err != nil {
		t.Fatal(err)
	}
	close(release)
	if got := <-answer; statusOf(got) != 200 || len(lines(got, authLine)) != 1 {
		t.Errorf("the old request got %q", got)
	}
	if got := raw(t, s.addr, request("POST", "/openApi/saveJob", "{}")); len(lines(got, authLine)) != 0 || len(other.requests()) != 1 {
		t.Errorf("the new request got %q from the old settings", got)
	}
}

func TestUnchangedGroupsKeepTheirConnectionsAndChangedOnesCloseThem(t *testing.T) {
	var mu sync.Mutex
	states := map[http.ConnState]int{}
	up := newUnstartedUpstream(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	up.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		mu.Lock()
		states[state]++
		mu.Unlock()
	}
	count := func(state http.ConnState) int {
		mu.Lock()
		defer mu.Unlock()
		return states[state]
	}
	up.Start()
	forever := func(timeout time.Duration) Settings {
		settings := settingsFor(t, up.URL)
		u := settings.Upstreams["default"]
		u.IdleTimeout, u.Timeout = time.Hour, timeout
		settings.Upstreams["default"] = u
		return settings
	}
	s := newShim(t, forever(time.Hour))
	raw(t, s.addr, request("GET", "/", ""))
	if err := s.Swap(forever(time.Hour)); err != nil {
		t.Fatal(err)
	}
	raw(t, s.addr, request("GET", "/", ""))
	if n := count(http.StateNew); n != 1 {
		t.Errorf("%d connections were opened, want 1", n)
	}
	if err := s.Swap(forever(time.Minute)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the old group's idle connection is closed", func() bool { return count(http.StateClosed) == 1 })
}

func TestABadSwapChangesNothing(t *testing.T) {
	up := newRawServer(t, answerWith())
	s := newShim(t, settingsFor(t, up.url))
	before := s.snap.Load()
	if err := s.Swap(settingsFor(t)); err == nil || !strings.HasPrefix(err.Error(), "compiling the settings: ") {
		t.Errorf("Swap returned %v", err)
	}
	if s.snap.Load() != before {
		t.Error("the settings changed")
	}
	if got := raw(t, s.addr, request("GET", "/", "")); statusOf(got) != 200 {
		t.Errorf("the client got %q", got)
	}
}

func TestAGroupIsKeptOnlyWhileEverySettingIsTheSame(t *testing.T) {
	base := settingsFor(t, "http://127.0.0.1:1", "http://127.0.0.1:2").Upstreams["default"]
	kept := func(u Upstream) bool {
		t.Helper()
		p := mustProxy(t, Settings{Upstreams: map[string]Upstream{"default": base}})
		before := p.snap.Load().Groups["default"]
		if err := p.Swap(Settings{Upstreams: map[string]Upstream{"default": u}}); err != nil {
			t.Fatal(err)
		}
		return p.snap.Load().Groups["default"] == before
	}
	for name, change := range map[string]func(*Upstream){
		"timeout":        func(u *Upstream) { u.Timeout++ },
		"idle_timeout":   func(u *Upstream) { u.IdleTimeout++ },
		"openapi_prefix": func(u *Upstream) { u.OpenAPIPrefix = "/x/openApi" },
		"tls":            func(u *Upstream) { u.TLS.ServerName = "x" },
		"a bound":        func(u *Upstream) { u.MaxRequests = 1 },
		"passive health": func(u *Upstream) { u.Health.Passive = &up.PassiveHealth{Failures: 1, Eject: 1, MaxEject: 1} },
		"fewer servers":  func(u *Upstream) { u.Servers = u.Servers[:1] },
		"other servers": func(u *Upstream) {
			u.Servers = settingsFor(t, "http://127.0.0.1:1", "http://127.0.0.1:3").Upstreams["default"].Servers
		},
	} {
		other := base
		change(&other)
		if kept(other) {
			t.Errorf("%s: a changed group was kept", name)
		}
	}
	if !kept(settingsFor(t, "http://127.0.0.1:1", "http://127.0.0.1:2").Upstreams["default"]) {
		t.Error("an equal group was replaced, with its connections")
	}
}
