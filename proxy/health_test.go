package proxy

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"powerjob-shim/proxy/upstream/connect"
)

func groupOf(t *testing.T, h Health, servers ...string) *upstreamGroup {
	t.Helper()
	u := settingsFor(t, servers...).Upstreams["default"]
	u.Health = h
	g, err := newUpstreamGroup("g", u, nil, new(connect.Dialer))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestAServerIsEjectedForAGrowingWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := Health{Passive: &PassiveHealth{Failures: 3, Eject: 10 * time.Second, MaxEject: 35 * time.Second}}
		g := groupOf(t, h, "http://127.0.0.1:1", "http://127.0.0.1:2")
		s := g.servers[0]
		for i, want := range []time.Duration{10 * time.Second, 20 * time.Second, 35 * time.Second, 35 * time.Second} {
			for range 2 {
				g.failed(s, zap.NewNop())
			}
			g.answered(s, 503, zap.NewNop()) // the third
			for range 10 {                   // those that were under way
				g.failed(s, zap.NewNop())
			}
			time.Sleep(want - 1)
			if got := s.standing(time.Now()); got != standingEjected {
				t.Fatalf("ejection %d: %v just before %v", i, got, want)
			}
			time.Sleep(time.Nanosecond)
			if got := s.standing(time.Now()); got != standingUp {
				t.Fatalf("ejection %d: %v after %v", i, got, want)
			}
			g.answered(s, 200, zap.NewNop())
		}
		time.Sleep(h.Passive.MaxEject + 1)
		for range 3 {
			g.failed(s, zap.NewNop())
		}
		if away := s.ejectedUntil.Load() - time.Now().UnixNano(); away != int64(10*time.Second) {
			t.Errorf("after a quiet time it is ejected for %v, want 10s", time.Duration(away))
		}
	})
}

func TestAnAnswerBetweenFailuresEndsTheirRow(t *testing.T) {
	g := groupOf(t, Health{Passive: &PassiveHealth{Failures: 2, Eject: time.Hour, MaxEject: time.Hour}}, "http://127.0.0.1:1", "http://127.0.0.1:2")
	s := g.servers[0]
	for range 10 {
		g.failed(s, zap.NewNop())
		g.answered(s, 404, zap.NewNop())
	}
	if got := s.standing(time.Now()); got != standingUp {
		t.Errorf("the server is %v", got)
	}
}

func TestTheLastServerIsNeverEjected(t *testing.T) {
	g := groupOf(t, Health{Passive: &PassiveHealth{Failures: 1, Eject: time.Hour, MaxEject: time.Hour}},
		"http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3")
	g.servers[2].down.Store(true)
	for range 3 {
		for _, s := range g.servers[:2] {
			g.failed(s, zap.NewNop())
		}
	}
	if a, b := g.servers[0].standing(time.Now()), g.servers[1].standing(time.Now()); a != standingEjected || b != standingUp {
		t.Errorf("the servers are %v and %v, want ejected and up", a, b)
	}
	// When another one is back, the next failure counts.
	g.servers[2].down.Store(false)
	g.failed(g.servers[1], zap.NewNop())
	if b := g.servers[1].standing(time.Now()); b != standingEjected {
		t.Errorf("the second is %v, want ejected", b)
	}
}

func TestServersThatAreNotUpAreTriedLastInTheOrderOfPromise(t *testing.T) {
	g := groupOf(t, Health{}, "http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3", "http://127.0.0.1:4")
	now := time.Now()
	g.servers[0].down.Store(true)
	g.servers[1].ejectedUntil.Store(now.Add(time.Hour).UnixNano())
	g.refused(g.servers[2], nil, zap.NewNop())
	for range 20 {
		for i, s := range g.candidates() {
			if s != g.servers[3-i] {
				t.Fatalf("candidate %d is %s", i, s.name)
			}
		}
	}
}

func TestChecksInARowDecide(t *testing.T) {
	g := groupOf(t, Health{Active: &ActiveHealth{Interval: time.Second, Timeout: time.Second, Unhealthy: 3, Healthy: 2}}, "http://127.0.0.1:1")
	c := newChecker(g, g.servers[0], zap.NewNop())
	against := 0
	for i, step := range []struct {
		ok, down bool
	}{
		{true, false}, {false, false}, {false, false}, {true, false}, {false, false}, {false, false}, {false, true},
		{false, true}, {true, true}, {false, true}, {true, true}, {true, false}, {false, false},
	} {
		var err error
		if !step.ok {
			err = errors.New("no")
		}
		against = c.learn(err, against)
		if got := g.servers[0].down.Load(); got != step.down {
			t.Errorf("after check %d: down %v, want %v", i, got, step.down)
		}
	}
}

func TestAServerThatAnswersWithErrorsIsEjectedAndSeen(t *testing.T) {
	var bad, good atomic.Int64
	fails := upstream(t, func(w http.ResponseWriter, _ *http.Request) { bad.Add(1); w.WriteHeader(500) })
	works := upstream(t, func(w http.ResponseWriter, _ *http.Request) { good.Add(1); _, _ = io.WriteString(w, okBody) })
	settings := settingsFor(t, fails, works)
	u := settings.Upstreams["default"]
	u.Health.Passive = &PassiveHealth{Failures: 3, Eject: time.Hour, MaxEject: time.Hour}
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
	if got := s.snap.Load().groups["default"].servers[0].standing(time.Now()); got != standingEjected {
		t.Errorf("after a reload the server is %v", got)
	}
	u.Health.Passive = nil
	if err := s.Swap(Settings{Upstreams: map[string]Upstream{"default": u}}); err != nil {
		t.Fatal(err)
	}
	if got := s.snap.Load().groups["default"].servers[0].standing(time.Now()); got != standingUp {
		t.Errorf("without passive health the server is %v", got)
	}
}

// checked are settings with quick active checks.
func checked(t *testing.T, tcp bool, servers ...string) Settings {
	t.Helper()
	settings := settingsFor(t, servers...)
	u := settings.Upstreams["default"]
	u.Health.Active = &ActiveHealth{TCP: tcp, Interval: 5 * time.Millisecond, Timeout: patience, Unhealthy: 2, Healthy: 2}
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
	first := s.snap.Load().groups["default"].servers[0]
	eventually(t, "the server is down", func() bool { return first.standing(time.Now()) == standingDown })
	for range 20 {
		raw(t, s.addr, request("GET", "/", ""))
	}
	if atSick.Load() != 0 || atWell.Load() != 20 {
		t.Errorf("the unhealthy server got %d, the other %d; want 0 and 20", atSick.Load(), atWell.Load())
	}
	if code, body := s.ask(t, "/readyz"); code != 200 || !strings.Contains(body, "health check: status 503") {
		t.Errorf("/readyz says %d %q", code, body)
	}
	s.snap.Load().groups["default"].connections.CloseIdle() // else b might close one that is being written to
	b.Close()
	if got := raw(t, s.addr, request("GET", "/", "")); statusOf(got) != 200 || atSick.Load() != 1 {
		t.Errorf("with the other one gone, the client got %q", got)
	}
	sick.Store(false)
	eventually(t, "the server is up", func() bool { return first.standing(time.Now()) == standingUp })
}

func TestWithoutAHealthyServerCallersGet503(t *testing.T) {
	s := newShim(t, answering(checked(t, true, deadServer(t), deadServer(t))))
	eventually(t, "all are down", s.snap.Load().groups["default"].allDown)
	got := raw(t, s.addr, request("POST", "/openApi/saveJob", "{}"))
	if statusOf(got) != 503 || lines(got, "retry-after") != nil || lines(got, authLine) != nil || !strings.Contains(got, "Nothing was sent") {
		t.Errorf("the client got %q", got)
	}
	if code, _ := s.ask(t, "/readyz"); code != 503 {
		t.Errorf("/readyz says %d", code)
	}
}

func TestChecksEndWithTheirGroup(t *testing.T) {
	up := newRawServer(t, answerWith())
	s := newShim(t, checked(t, false, up.url))
	eventually(t, "a check", func() bool { return len(up.requests()) > 0 })
	first := s.snap.Load().groups["default"].servers[0]
	first.down.Store(true)
	if err := s.Swap(settingsFor(t, up.url)); err != nil {
		t.Fatal(err)
	}
	if first.standing(time.Now()) != standingUp {
		t.Error("without checks the server is still down")
	}
	s.stop()
	if err := s.wait(t); err != nil { // waits for the checks
		t.Error(err)
	}
	n := len(up.requests())
	time.Sleep(20 * time.Millisecond)
	if after := len(up.requests()); after > n+1 { // one may have been on its way to the server
		t.Errorf("%d checks after the end", after-n)
	}
}
