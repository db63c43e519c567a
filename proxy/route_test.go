package proxy

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	up "powerjob-shim/proxy/upstream"
	"powerjob-shim/rules/hosts"
)

func TestTheMostSpecificRouteWins(t *testing.T) {
	var list []Route
	for _, r := range []struct{ name, host, path string }{
		{"any", "", "/*"},
		{"wild", "*.example.test", "/*"},
		{"deeper", "*.b.example.test", "/*"},
		{"exact", "a.example.test", "/*"},
		{"api", "", "/openApi/*"},
		{"one", "", "/openApi/saveJob"},
		{"six", "2001:db8::1", "/*"},
	} {
		route := Route{Name: r.name, Paths: []string{r.path}, Upstream: "default"}
		if r.host != "" {
			route.Hosts = []string{r.host}
		}
		list = append(list, route)
	}
	settings := settingsFor(t, "http://127.0.0.1:1")
	settings.Routes = list
	snap, err := compile(settings, nil, "", up.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ host, path, want string }{
		{"other.test", "/x", "any"},
		{"x.example.test", "/x", "wild"},
		{"example.test", "/x", "any"},
		{"x.b.example.test", "/x", "deeper"},
		{"a.example.test", "/x", "exact"},
		{"A.EXAMPLE.test.:8080", "/openApi/saveJob", "exact"},
		{"other.test", "/openApi/runJob", "api"},
		{"other.test", "/openApi/saveJob", "one"},
		{"[2001:db8::1]:80", "/", "six"},
	} {
		got, _ := snap.routeFor(destination{host: hosts.Bare(c.host), path: c.path})
		if got == nil || got.name != c.want {
			t.Errorf("%s%s: route %v, want %s", c.host, c.path, got, c.want)
		}
	}
}

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
	if route := s.logLine(t, 0)[fieldRoute]; route != "main" {
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

func TestAnUnreadableTargetIsTheRoot(t *testing.T) {
	if got := requestURI(&http.Request{RequestURI: "a:1"}); got != "/" {
		t.Errorf("got %q", got)
	}
}
