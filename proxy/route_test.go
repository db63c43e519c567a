package proxy

import (
	"net/url"
	"strings"
	"testing"

	"powerjob-shim/proxy/exchange"
	up "powerjob-shim/proxy/upstream"
)

func TestAnUnknownHostIs404(t *testing.T) {
	settings := settingsFor(t, newRawServer(t, answerWith()).url)
	settings.Routes = []Route{{Name: "main", Hosts: []string{"shim.test"}, Upstream: "default"}}
	s := newShim(t, settings)
	if got := raw(t, s.addr, request("GET", "/", "")); statusOf(got) != 200 {
		t.Errorf("the client got %q", got)
	}
	if got := raw(t, s.addr, "GET / HTTP/1.1\r\nHost: other.test\r\nConnection: close\r\n\r\n"); statusOf(got) != 404 || !strings.Contains(got, `"success":false`) {
		t.Errorf("the client got %q", got)
	}
	if route := s.logLine(t, 0)[exchange.FieldRoute]; route != "main" {
		t.Errorf("the route is %v, want main", route)
	}
}

func TestImpossibleSettingsAreAllReported(t *testing.T) {
	server := func(s string) *url.URL { u, _ := url.Parse(s); return u }
	_, err := New(Options{}, Settings{
		Upstreams: map[string]Upstream{
			"a": {},
			"b": {Settings: up.Settings{Servers: []*url.URL{server("ftp://x"), server("http:///"), server("http://x/ctx"), server("http://u:p@x")}}},
			"c": {Settings: up.Settings{Servers: []*url.URL{server("https://x"), server("http://x/")}}},
		},
		Routes: []Route{{Name: "r", Upstream: "d"}, {Name: "s", Upstream: "c"}},
	})
	want := []string{
		"upstreams.a: servers: at least one is needed",
		"upstreams.b: servers: ftp://x: the scheme must be http or https",
		"servers: http:///: the host is missing",
		"servers: http://x/ctx: only scheme, host and port are allowed",
		"servers: http://u:xxxxx@x: only",
		`routes.r: there is no upstream "d"`,
	}
	for _, w := range want {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("the error lacks %q:\n%v", w, err)
		}
	}
	if _, err := New(Options{}, Settings{}); err == nil {
		t.Error("settings without upstreams were accepted")
	}
	two := Settings{Upstreams: map[string]Upstream{"a": {Settings: up.Settings{Servers: []*url.URL{server("http://x")}}}, "b": {Settings: up.Settings{Servers: []*url.URL{server("http://x")}}}}}
	if _, err := New(Options{}, two); err == nil || !strings.Contains(err.Error(), "routes") {
		t.Errorf("two upstreams without routes: %v", err)
	}
}
