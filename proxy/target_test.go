package proxy

import (
	"net/http"
	"strings"
	"testing"

	"powerjob-shim/internal/standin/legacy"
	"powerjob-shim/proxy/exchange"
	"powerjob-shim/rules"
)

// prefixed are settings for servers under a context path.
func prefixed(s Settings, context string) Settings {
	u := s.Upstreams["default"]
	u.ContextPath = context
	s.Upstreams = map[string]Upstream{"default": u}
	return s
}

// The server gets the changed target byte for byte, the query included, whatever
// way the request takes.
func TestTheServerGetsTheRewrittenTarget(t *testing.T) {
	up := newRawServer(t, answerWith())
	settings := prefixed(dedupSettings(t, up.url), "/pj")
	settings.Routes = []Route{{Name: "main", Upstream: "default", StripPrefix: "/in/", AddPrefix: "/a/"}}
	s := newShim(t, settings)
	for target, want := range map[string]string{
		`/in/x"y?a=b;c`:                `/pj/a/x"y?a=b;c`,
		"/in?q":                        "/pj/a/?q",
		"http://shim.test/in/x?y":      "/pj/a/x?y",
		"/ui":                          "/pj/a/ui",
		"/in/openApi/saveJob?x=%20":    "/pj/a/openApi/saveJob?x=%20",
		"/in/openApi/fetchAllJob;a=b/": "/pj/a/openApi/fetchAllJob;a=b/",
	} {
		before := len(up.requests())
		got := raw(t, s.addr, request("POST", target, "{}"))
		if all := up.requests(); len(all) != before+1 || !strings.HasPrefix(all[before], "POST "+want+" HTTP/1.1\r\n") {
			t.Errorf("%s: the server got %q, want %s; the client got %q", target, all[before:], want, got)
		}
	}
	before := len(up.requests())
	if got := raw(t, s.addr, request("POST", "/%69n/openApi/saveJob", "{}")); statusOf(got) != 400 || !strings.Contains(got, "strip_prefix") {
		t.Errorf("an encoded prefix was answered with %q", got)
	}
	if got := up.requests(); len(got) != before {
		t.Errorf("the server got %q", got[before:])
	}
}

// What add_prefix makes an OpenAPI path of is judged as one.
func TestAPathThatBecomesAmbiguousUnderTheOpenAPIIsRefused(t *testing.T) {
	up := newRawServer(t, answerWith())
	settings := dedupSettings(t, up.url)
	settings.Routes = []Route{{Name: "main", Upstream: "default", AddPrefix: "/openApi"}}
	s := newShim(t, settings)
	if got := raw(t, s.addr, request("POST", "/save%2fJob", "{}")); statusOf(got) != 400 || len(up.requests()) != 0 {
		t.Errorf("the client got %q, the server %q", got, up.requests())
	}
	raw(t, s.addr, request("POST", "/saveJob", "{}"))
	if line := s.logLine(t, 1); line[exchange.FieldCall] != "saveJob" || line[exchange.FieldDecision] != string(rules.Forwarded) || line[exchange.FieldPath] != "/saveJob" {
		t.Errorf("logged %v", line)
	}
}

// Calls are known, deduplicated and executed under a context path, with and
// without it in the client's own path.
func TestServersUnderAContextPath(t *testing.T) {
	server, url := startLegacy(t, legacy.Options{Prefix: "/pj"})
	s := newShim(t, prefixed(dedupSettings(t, strings.TrimSuffix(url, "/pj")), "/pj"))
	save := `{"jobName":"nightly","appId":1}`
	for _, path := range []string{"/openApi/saveJob", "/pj/openApi/saveJob"} {
		got := raw(t, s.addr, request("POST", path, save, "Content-Type: application/json"))
		if statusOf(got) != http.StatusOK || lines(got, "X-POWERJOB-AUTH-PASSED") == nil {
			t.Errorf("%s: the client got %q", path, got)
		}
	}
	wantExecuted(t, server, "saveJob", 1) // the same path for the server, so the second is a repetition
	if got := s.sum(t, "powerjob_shim_dedup_total", "call", "saveJob", "decision", "replayed"); got != 1 {
		t.Errorf("%v replays", got)
	}
	if got := s.sum(t, "powerjob_shim_outside_prefix_total"); got != 0 {
		t.Errorf("%v calls outside", got)
	}
}

func TestKnownCallsOutsideThePrefixAreCountedAndWarnedOfOnce(t *testing.T) {
	const message = "a PowerJob call passes outside openapi_prefix"
	for _, c := range []struct{ context, prefix, path, cure string }{
		{"", "", "/x/openApi/saveJob", "set upstreams.default.openapi_prefix: /x/openApi"},
		{"", "", "/x/openApi/saveJob", "strip_prefix: /x on the route"},
		{"", "/y/openApi", "/openApi/fetchAllJob", "add_prefix: /y on the route"},
		{"/pj", "", "/x/openApi/saveJob", "set strip_prefix: /x on the route; the servers' context path is /pj"},
	} {
		up := newRawServer(t, answerWith())
		settings := prefixed(dedupSettings(t, up.url), c.context)
		u := settings.Upstreams["default"]
		u.OpenAPIPrefix = c.prefix
		settings.Upstreams["default"] = u
		s := newShim(t, settings)
		for range 3 {
			got := raw(t, s.addr, request("POST", c.path, "{}"))
			if mark := lines(got, headerShim); len(mark) != 1 || !strings.HasSuffix(mark[0], ": "+"outside-prefix") {
				t.Errorf("%s: the answer is marked with %q", c.path, mark)
			}
		}
		raw(t, s.addr, request("POST", "/x/openApi/noSuchCall", "{}"))
		raw(t, s.addr, request("GET", "/x/index.html", ""))
		warnings := 0
		for _, e := range s.logs.All() {
			if strings.Contains(e.Message, message) {
				if warnings++; !strings.Contains(e.Message, c.cure) {
					t.Errorf("%+v: the log says %q", c, e.Message)
				}
			}
		}
		if warnings != 1 || len(up.requests()) != 5 {
			t.Errorf("%+v: %d warnings, %d requests at the server", c, warnings, len(up.requests()))
		}
		if got := s.sum(t, "powerjob_shim_outside_prefix_total", "call", c.path[strings.LastIndex(c.path, "/")+1:]); got != 3 {
			t.Errorf("%+v: %v were counted", c, got)
		}
	}
}
