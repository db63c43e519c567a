package admin

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"powerjob-shim/proxy/admin/recent"
)

// Servers as they may be found.
var (
	up      = Server{Server: "a:1", State: "up", Reachable: true, Healthy: true, Ready: true}
	away    = Server{Server: "b:1", State: "up", Healthy: true, Problem: "connection refused", Advice: "check that it runs"}
	doubted = Server{Server: "c:1", State: "up", Reachable: true, Healthy: true, Ready: true, Problem: "status 404"}
)

func TestReadinessIsThatOfTheGroupsThatRequestsNeed(t *testing.T) {
	for name, c := range map[string]struct {
		about  About
		groups []Group
		path   string // "": /readyz
		code   int
		body   string
	}{
		"all is well": {About{}, []Group{{Name: "a", Routed: true, Servers: []Server{up}}}, "", 200, "ok"},
		"one server is away": {About{}, []Group{{Name: "a", Routed: true, Servers: []Server{up, away}}}, "", 200,
			"ok\nupstream a: b:1: connection refused; check that it runs"},
		"a server that is doubted": {About{}, []Group{{Name: "a", Routed: true, Servers: []Server{doubted}}}, "", 200,
			"ok\nupstream a: c:1: warning: status 404"},
		"all are away": {About{}, []Group{{Name: "a", Routed: true, Servers: []Server{away}}}, "", 503,
			"no upstream server is ready\nupstream a: b:1: connection refused; check that it runs"},
		"no request needs the one that is ready": {About{}, []Group{{Name: "a", Routed: true, Servers: []Server{away}}, {Name: "b", Servers: []Server{up}}}, "", 503,
			"no upstream server is ready\nupstream a: b:1: connection refused; check that it runs"},
		"one group is enough": {About{}, []Group{{Name: "a", Routed: true, Servers: []Server{away}}, {Name: "b", Routed: true, Servers: []Server{up}}}, "", 200,
			"ok\nupstream a: b:1: connection refused; check that it runs"},
		"all groups must be": {About{ReadyAll: true}, []Group{{Name: "a", Routed: true, Servers: []Server{away}}, {Name: "b", Routed: true, Servers: []Server{up}}}, "", 503,
			"no server is ready of upstream a (admin.ready is all)\nupstream a: b:1: connection refused; check that it runs"},
		"it drains": {About{Draining: true}, []Group{{Name: "a", Routed: true, Servers: []Server{up}}}, "", 503, errDraining},
		"the store has a problem": {About{Dedup: Dedup{Problems: []string{"no store"}}}, []Group{{Name: "a", Routed: true, Servers: []Server{up}}}, "", 200,
			"ok\nno store"},
		"the servers do not matter":     {About{Ready: func() error { return nil }}, []Group{{Name: "a", Routed: true, Servers: []Server{away}}}, "", 200, "ok"},
		"another decides, and says why": {About{Ready: func() error { return errors.New("not yet") }}, []Group{{Name: "a", Routed: true, Servers: []Server{up}}}, "", 503, "not yet"},
		"a group by its name":           {About{GroupNames: []string{"a", "b"}}, []Group{{Name: "a", Servers: []Server{up}}, {Name: "b", Servers: []Server{away}}}, "?group=a", 200, "ok"},
		"a group that is away": {About{GroupNames: []string{"a", "b"}}, []Group{{Name: "a", Servers: []Server{up}}, {Name: "b", Servers: []Server{away}}}, "?group=b", 503,
			"no server is ready of upstream b\nupstream b: b:1: connection refused; check that it runs"},
		"a group that there is not":    {About{GroupNames: []string{"a", "b"}}, nil, "?group=c", 404, `there is no upstream "c"; there is a, b`},
		"a group of no name":           {About{GroupNames: []string{"a"}}, nil, "?group=", 404, `there is no upstream ""; there is a`},
		"a group, while it drains":     {About{GroupNames: []string{"a"}, Draining: true}, []Group{{Name: "a", Servers: []Server{up}}}, "?group=a", 503, errDraining},
		"another group, while it does": {About{GroupNames: []string{"a"}, Draining: true}, nil, "?group=c", 404, `there is no upstream "c"; there is a`},
	} {
		h := Handler(Options{View: seen(fakeView{about: &c.about, groups: &c.groups}), Recent: recent.New()})
		if code, body := ask(h, "/readyz"+c.path); code != c.code || strings.TrimSuffix(body, "\n") != c.body {
			t.Errorf("%s: %d %q, want %d %q", name, code, body, c.code, c.body)
		}
	}
}

func TestAConfigurationIsLookedAtOnceInAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := fakeView{looks: new(int)}, fakeView{looks: new(int)}
		now := first
		h := Handler(Options{View: func() View { return now }, Recent: recent.New(), Local: true})
		all := func() {
			for _, path := range []string{"/readyz", "/status", "/", "/readyz?group=default"} {
				if code, body := ask(h, path); code != 200 {
					t.Errorf("%s: %d %s", path, code, body)
				}
			}
		}
		all()
		time.Sleep(lookAge - time.Nanosecond)
		all()
		if *first.looks != 1 {
			t.Errorf("%d looks for 8 questions", *first.looks)
		}
		time.Sleep(time.Nanosecond)
		all()
		if *first.looks != 2 {
			t.Errorf("%d looks after a while", *first.looks)
		}
		now = second
		all()
		if *second.looks != 1 {
			t.Errorf("%d looks at the next configuration", *second.looks)
		}
	})
}
