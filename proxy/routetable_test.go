package proxy

import (
	"errors"
	"strings"
	"testing"
	"time"

	"powerjob-shim/rules"
	"powerjob-shim/rules/access"
)

// routesTo returns settings with these routes, all to one server.
func routesTo(t testing.TB, server string, routes ...Route) Settings {
	t.Helper()
	s := settingsFor(t, server)
	for _, r := range routes {
		r.Upstream = "default"
		s.Routes = append(s.Routes, r)
	}
	return s
}

func TestARefusingRouteSaysWhyAndSendsNothing(t *testing.T) {
	server := newRawServer(t, answerWith())
	s := newShim(t, routesTo(t, server.url,
		Route{Name: "bad", Paths: []string{"/bad/*"}, Refuse: "the Service is not there"}, Route{Name: "good"}))
	got := raw(t, s.addr, request("POST", "/bad/x", "body"))
	if statusOf(got) != 503 || !strings.Contains(got, `{"success":false,"data":null,"message":"powerjob-shim: the Service is not there"}`) {
		t.Errorf("the client got %q", got)
	}
	if got := raw(t, s.addr, request("GET", "/good", "")); statusOf(got) != 200 {
		t.Errorf("another route: the client got %q", got)
	}
	if n := len(server.requests()); n != 1 {
		t.Errorf("the server received %d requests, want 1", n)
	}
}

func TestAGroupMayBeWithoutServers(t *testing.T) {
	settings := settingsFor(t)
	u := settings.Upstreams["default"]
	u.Dynamic = true
	settings.Upstreams["default"] = u
	s := newShim(t, settings)
	if got := raw(t, s.addr, request("GET", "/index.html", "")); statusOf(got) != 503 || !strings.Contains(got, "Nothing was sent") {
		t.Errorf("a browser got %q", got)
	}
	server := newRawServer(t, answerWith())
	u.Servers = settingsFor(t, server.url).Upstreams["default"].Servers
	settings.Upstreams = map[string]Upstream{"default": u}
	if err := s.Swap(settings); err != nil {
		t.Fatal(err)
	}
	if got := raw(t, s.addr, request("GET", "/index.html", "")); statusOf(got) != 200 {
		t.Errorf("with a server: the client got %q", got)
	}
}

// TestAPathThatCanBeReadInTwoWaysIsRefusedWhereItDecides: and nowhere else.
func TestAPathThatCanBeReadInTwoWaysIsRefusedWhereItDecides(t *testing.T) {
	s := newShim(t, routesTo(t, newRawServer(t, answerWith()).url,
		Route{Name: "by path", Hosts: []string{"a.test"}, Paths: []string{"/x/*", "/*"}}, Route{Name: "whole", Hosts: []string{"*.test"}}))
	for host, want := range map[string]int{"a.test": 400, "b.test": 200} {
		if got := raw(t, s.addr, "GET /x//y HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n"); statusOf(got) != want {
			t.Errorf("%s: got %q, want %d", host, got, want)
		}
	}
}

// TestAGroupCanHaveAPolicyOfItsOwn: and a change of it leaves the group's
// connections alone.
func TestAGroupCanHaveAPolicyOfItsOwn(t *testing.T) {
	server := newRawServer(t, answerWith())
	settings := settingsFor(t, server.url)
	settings.Rules = compileRules(t, authRule, rules.Rule{
		Name: "save", Paths: []string{"/openApi/saveJob"}, Dedup: &rules.Dedup{Match: rules.MatchBody, Window: time.Minute},
	})
	u := settings.Upstreams["default"]
	own := u
	own.Policy = &Policy{Rules: compileRules(t, authRule), Access: access.Policy{Block: []string{"/user/list"}}}
	settings.Upstreams = map[string]Upstream{"default": u, "own": own}
	settings.Routes = []Route{{Name: "own", Hosts: []string{"own.test"}, Upstream: "own"}, {Name: "rest", Upstream: "default"}}
	s := newShim(t, settings)
	ask := func(host, message string) string {
		return raw(t, s.addr, strings.Replace(message, "Host: shim.test", "Host: "+host, 1))
	}
	for _, c := range []struct {
		host, want string
		list       int
	}{{"shim.test", "forwarded", 200}, {"shim.test", "replayed", 200}, {"own.test", "", 403}, {"own.test", "", 403}} {
		if got := decision(ask(c.host, save(saveBody(0, "a")))); got != c.want {
			t.Errorf("%s: a save was %q, want %q", c.host, got, c.want)
		}
		if got := ask(c.host, request("GET", "/user/list", "")); statusOf(got) != c.list {
			t.Errorf("%s: /user/list answered %q, want %d", c.host, got, c.list)
		}
	}
	group := s.snap.Load().Groups["own"]
	own.Policy = nil
	settings.Upstreams = map[string]Upstream{"default": u, "own": own}
	if err := s.Swap(settings); err != nil {
		t.Fatal(err)
	}
	if s.snap.Load().Groups["own"] != group {
		t.Error("the group was made anew")
	}
	if got := decision(ask("own.test", save(saveBody(0, "a")))); got != "forwarded" {
		t.Errorf("without a policy of its own, a save was %q", got)
	}
}

// TestAGroupCanBeObservedAlone: nothing is changed on the wire for it, whatever
// the others' mode.
func TestAGroupCanBeObservedAlone(t *testing.T) {
	settings := settingsFor(t, newRawServer(t, answerWith()).url)
	settings.Rules = compileRules(t, authRule)
	u := settings.Upstreams["default"]
	seen := u
	seen.Policy = &Policy{Observing: true}
	settings.Upstreams = map[string]Upstream{"default": u, "seen": seen}
	settings.Routes = []Route{{Name: "seen", Hosts: []string{"seen.test"}, Upstream: "seen"}, {Name: "rest", Upstream: "default"}}
	for _, all := range []bool{false, true} {
		settings.Observing = all
		seen.Policy = &Policy{Observing: !all}
		settings.Upstreams["seen"] = seen
		s := newShim(t, settings)
		for host, observed := range map[string]bool{"seen.test": !all, "shim.test": all} {
			got := raw(t, s.addr, strings.Replace(request("GET", "/openApi/fetchAllJob", ""), "Host: shim.test", "Host: "+host, 1))
			if strings.Contains(got, "X-POWERJOB-AUTH-PASSED: true") == observed {
				t.Errorf("all: %t, %s: got %q", all, host, got)
			}
			got = raw(t, s.addr, strings.Replace(request("GET", "/openApi//fetchAllJob", ""), "Host: shim.test", "Host: "+host, 1))
			if (statusOf(got) == 400) == observed {
				t.Errorf("all: %t, %s: a path that can be read in two ways got %q", all, host, got)
			}
		}
	}
}

func TestReadyzCanBeAboutTheShimAlone(t *testing.T) {
	var not error
	p, err := New(Options{Ready: func() error { return not }}, settingsFor(t, deadServer(t)))
	if err != nil {
		t.Fatal(err)
	}
	if code, body := readyz(p, "/readyz"); code != 200 {
		t.Errorf("a dead server decides: %q", body)
	}
	not = errors.New("not yet")
	if code, body := readyz(p, "/readyz"); code != 503 || body != "not yet\n" {
		t.Errorf("before it is ready: %d, %q", code, body)
	}
	not = nil
	p.draining.Store(true)
	if code, _ := readyz(p, "/readyz"); code != 503 {
		t.Error("ready while it drains")
	}
}
