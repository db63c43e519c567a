package proxy

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	up "powerjob-shim/proxy/upstream"
)

func TestAServerThatAnswersWithErrorsIsEjectedAndSeen(t *testing.T) {
	var bad, good atomic.Int64
	fails := upstream(t, func(w http.ResponseWriter, _ *http.Request) { bad.Add(1); w.WriteHeader(500) })
	works := upstream(t, func(w http.ResponseWriter, _ *http.Request) { good.Add(1); _, _ = io.WriteString(w, okBody) })
	settings := settingsFor(t, fails, works)
	u := settings.Upstreams["default"]
	u.Health.Passive = &up.PassiveHealth{Failures: 3, Eject: time.Hour, MaxEject: time.Hour}
	settings.Upstreams["default"] = u
	s := newShim(t, settings)
	const n = 60
	for range n {
		raw(t, s.addr, request("GET", "/", ""))
	}
	if bad.Load() != 3 || good.Load() != n-3 {
		t.Errorf("the failing server got %d, the other %d; want 3 and %d", bad.Load(), good.Load(), n-3)
	}
	if _, body := s.ask(t, "/status"); !strings.Contains(body, `"state": "ejected"`) || !strings.Contains(body, `"state": "up"`) {
		t.Errorf("/status says %s", body)
	}
	name := strings.TrimPrefix(fails, "http://")
	if _, body := s.ask(t, "/metrics"); !strings.Contains(body, `powerjob_shim_upstream_up{server="`+name+`",upstream="default"} 0`) {
		t.Errorf("/metrics says %s", body)
	}
	// A reload that changes the group does not forget it, one without passive health does.
	u.Timeout++
	if err := s.Swap(Settings{Upstreams: map[string]Upstream{"default": u}}); err != nil {
		t.Fatal(err)
	}
	if got := s.snap.Load().Groups["default"].Upstream.Servers[0].Standing(time.Now()); got != up.StandingEjected {
		t.Errorf("after a reload the server is %v", got)
	}
	u.Health.Passive = nil
	if err := s.Swap(Settings{Upstreams: map[string]Upstream{"default": u}}); err != nil {
		t.Fatal(err)
	}
	if got := s.snap.Load().Groups["default"].Upstream.Servers[0].Standing(time.Now()); got != up.StandingUp {
		t.Errorf("without passive health the server is %v", got)
	}
}

// checked are settings with quick active checks.
func checked(t *testing.T, tcp bool, servers ...string) Settings {
	t.Helper()
	settings := settingsFor(t, servers...)
	u := settings.Upstreams["default"]
	u.Health.Active = &up.ActiveHealth{TCP: tcp, Interval: 5 * time.Millisecond, Timeout: patience, Unhealthy: 2, Healthy: 2}
	settings.Upstreams["default"] = u
	return settings
}

func TestACheckAsksForAnAppThatDoesNotExistOnAConnectionOfItsOwn(t *testing.T) {
	up := newRawServer(t, answerWith())
	settings := checked(t, false, up.url)
	u := settings.Upstreams["default"]
	u.OpenAPIPrefix = "/x/openApi"
	settings.Upstreams["default"] = u
	newShim(t, settings)
	eventually(t, "a check", func() bool { return len(up.requests()) > 0 })
	want := "POST /x/openApi/assert HTTP/1.1\r\nHost: " + strings.TrimPrefix(up.url, "http://") + "\r\nUser-Agent: powerjob-shim health check\r\n" +
		"Content-Length: 44\r\nContent-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n\r\nappName=powerjob-shim-health-check&password="
	if got := up.requests()[0]; got != want {
		t.Errorf("the server got\n%q, want\n%q", got, want)
	}
}

func TestAnUnhealthyServerGetsRequestsOnlyWhenNoOtherTakesThem(t *testing.T) {
	var sick atomic.Bool
	var atSick, atWell atomic.Int64
	a := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != "/openApi/assert":
			atSick.Add(1)
			_, _ = io.WriteString(w, okBody)
		case sick.Load():
			w.WriteHeader(503)
		}
	})
	b := newUnstartedUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/openApi/assert" {
			atWell.Add(1)
			_, _ = io.WriteString(w, okBody)
		}
	})
	b.Start()
	sick.Store(true)
	s := newShim(t, checked(t, false, a, b.URL))
	first := s.snap.Load().Groups["default"].Upstream.Servers[0]
	eventually(t, "the server is down", func() bool { return first.Standing(time.Now()) == up.StandingDown })
	for range 20 {
		raw(t, s.addr, request("GET", "/", ""))
	}
	if atSick.Load() != 0 || atWell.Load() != 20 {
		t.Errorf("the unhealthy server got %d, the other %d; want 0 and 20", atSick.Load(), atWell.Load())
	}
	if code, body := s.ask(t, "/readyz"); code != 200 || !strings.Contains(body, "health check: status 503") {
		t.Errorf("/readyz says %d %q", code, body)
	}
	s.snap.Load().Groups["default"].Upstream.Connections.CloseIdle() // else b might close one that is being written to
	b.Close()
	if got := raw(t, s.addr, request("GET", "/", "")); statusOf(got) != 200 || atSick.Load() != 1 {
		t.Errorf("with the other one gone, the client got %q", got)
	}
	sick.Store(false)
	eventually(t, "the server is up", func() bool { return first.Standing(time.Now()) == up.StandingUp })
}

func TestWithoutAHealthyServerCallersGet503(t *testing.T) {
	s := newShim(t, answering(checked(t, true, deadServer(t), deadServer(t))))
	eventually(t, "all are down", s.snap.Load().Groups["default"].Upstream.AllDown)
	got := raw(t, s.addr, request("POST", "/openApi/saveJob", "{}"))
	if statusOf(got) != 503 || lines(got, "retry-after") != nil || lines(got, authLine) != nil || !strings.Contains(got, "Nothing was sent") {
		t.Errorf("the client got %q", got)
	}
	if code, _ := s.ask(t, "/readyz"); code != 503 {
		t.Errorf("/readyz says %d", code)
	}
}

func TestChecksEndWithTheirGroup(t *testing.T) {
	server := newRawServer(t, strings.Replace(answerWith(), "200 OK", "503 Service Unavailable", 1))
	s := newShim(t, checked(t, false, server.url))
	first := s.snap.Load().Groups["default"].Upstream.Servers[0]
	eventually(t, "the server is down", func() bool { return first.Standing(time.Now()) == up.StandingDown })
	if err := s.Swap(settingsFor(t, server.url)); err != nil {
		t.Fatal(err)
	}
	if first.Standing(time.Now()) != up.StandingUp {
		t.Error("without checks the server is still down")
	}
	s.stop()
	if err := s.wait(t); err != nil { // waits for the checks
		t.Error(err)
	}
	n := len(server.requests())
	time.Sleep(20 * time.Millisecond)
	if after := len(server.requests()); after > n+1 { // one may have been on its way to the server
		t.Errorf("%d checks after the end", after-n)
	}
}
