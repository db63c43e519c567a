package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"powerjob-shim/internal/demo"
	"powerjob-shim/internal/standin/legacy"
	"powerjob-shim/rules/openapi"
)

// wellPut checks what each report should be: no line twice, the URL that was given in
// its advice, no word for a side that readers must guess, and a clear distinction
// between a shim's gate and a server's check.
func wellPut(t *testing.T, report string) {
	t.Helper()
	seen := map[string]bool{}
	for line := range strings.Lines(report) {
		if seen[line] && line != "\n" {
			t.Errorf("twice in one report: %s", line)
		}
		seen[line] = true
	}
	namesTheURL(t, report)
	if strings.Contains(report, " behind ") {
		t.Errorf("behind, seen from which side?\n%s", report)
	}
	nothing, on := strings.Contains(report, "Nothing needs to be done"), strings.Contains(report, "on the way   powerjob-shim")
	on = on && !strings.Contains(report, "no longer needed")
	if because := strings.Contains(report, "because a shim is on the way"); because != (nothing && on) {
		t.Errorf("because a shim is on the way: %t, although nothing needs to be done: %t, a shim is seen: %t\n%s", because, nothing, on, report)
	}
	if strings.Contains(report, "whose gate") && strings.Contains(report, "the server's OpenAPI check") {
		t.Errorf("a shim's gate is taken for the server's check:\n%s", report)
	}
}

// namesTheURL checks that the commands in a report have the URL that was given.
func namesTheURL(t *testing.T, report string) {
	t.Helper()
	_, target, _ := strings.Cut(strings.SplitN(report, "\n", 2)[0], "doctor ")
	base := strings.TrimSuffix(strings.TrimRight(target, "/"), "/openApi")
	for _, command := range []string{"powerjob-shim run --upstream ", "powerjob-shim duplicates "} {
		for _, after := range strings.Split(report, command)[1:] {
			if got := strings.Fields(after)[0]; strings.TrimSuffix(got, ",") != base {
				t.Errorf("%q is followed by %s, want %s:\n%s", command, got, base, report)
			}
		}
	}
}

func TestTheDoctorTellsWhatIsWrong(t *testing.T) {
	defaults := demo.StartShim(startInProcess)
	for name, c := range map[string]struct {
		target  func(t *testing.T) string
		healthy bool
		want    []string
	}{
		"a 5.1.0 server": {func(t *testing.T) string { return standIn(t, legacy.Options{}) }, false,
			[]string{"AFFECTED: 5.x clients send every call twice", "no X-POWERJOB-AUTH-PASSED", "powerjob-shim run --upstream"}},
		"a server before 5.1.2": {func(t *testing.T) string { return standIn(t, legacy.Options{}) }, false,
			[]string{"lacks        runJob2", "a shim in front sends it as runJob"}},
		"the shim before a server before 5.1.2": {func(t *testing.T) string { return shimIn(t, defaults, standIn(t, legacy.Options{})) }, true,
			[]string{"lacks        runJob2", "the shim sends it as runJob"}},
		"a 5.1.1 server": {func(t *testing.T) string { return standIn(t, legacy.Options{Mode: legacy.Patched}) }, true,
			[]string{"HEALTHY", "fetchAllJob  200, X-POWERJOB-AUTH-PASSED: true"}},
		"a server with its check on": {func(t *testing.T) string { return standIn(t, legacy.Options{Mode: legacy.CheckOn}) }, true,
			[]string{"HEALTHY: the server's OpenAPI check is on", "authApp      200, no X-POWERJOB-AUTH-PASSED"}},
		"a 4.x server": {func(t *testing.T) string { return standIn(t, legacy.Options{Mode: legacy.NoAuthApp}) }, false,
			[]string{"OLD SERVER", "authApp      404", "login_bridge"}},
		"a server under a context path": {func(t *testing.T) string {
			return standIn(t, legacy.Options{Mode: legacy.Patched, Prefix: "/x"}) + "/openApi/"
		}, true,
			[]string{"HEALTHY"}},
		"the context path forgotten": {func(t *testing.T) string {
			return strings.TrimSuffix(standIn(t, legacy.Options{Mode: legacy.Patched, Prefix: "/x"}), "/x")
		}, false, []string{"NOT POWERJOB", "context path"}},
		"a Go proxy before a 5.1.1 server": {func(t *testing.T) string { return goProxy(t, standIn(t, legacy.Options{Mode: legacy.Patched})) }, false,
			[]string{"AFFECTED", "arrives as X-Powerjob-Auth-Passed", "Caddy, Traefik"}},
		"a Go proxy before a server with its check on": {func(t *testing.T) string { return goProxy(t, standIn(t, legacy.Options{Mode: legacy.CheckOn})) }, false,
			[]string{"AFFECTED", "arrives as X-Powerjob-Auth-Passed"}},
		"a lowercasing hop": {func(t *testing.T) string { return hop(t, legacy.New(legacy.Options{Mode: legacy.Patched}), lowercase) }, false,
			[]string{"AFFECTED", "arrives as x-powerjob-auth-passed", "HAProxy", "Envoy", "HTTP/2"}},
		"a removing hop before a server with its check on": {func(t *testing.T) string { return hop(t, legacy.New(legacy.Options{Mode: legacy.CheckOn}), removeAuth) }, false,
			[]string{"AFFECTED", "the header does not arrive", "Something on the way removes"}},
		"nginx's add_header before a 5.1.0 server": {func(t *testing.T) string { return hop(t, legacy.New(legacy.Options{}), nginxAddHeader) }, true,
			[]string{"HEALTHY"}},
		"nginx's add_header before a server with its check on": {func(t *testing.T) string {
			return hop(t, legacy.New(legacy.Options{Mode: legacy.CheckOn}), func(line string) []string {
				if strings.HasPrefix(line, openapi.AuthHeader) {
					return []string{line, openapi.AuthHeader + ": true"}
				}
				return []string{line}
			})
		}, false, []string{"MISLED: ", "A call that the server refused arrives as passed", "add_header"}},
		"the shim before a 5.1.0 server": {func(t *testing.T) string { return shimIn(t, defaults, standIn(t, legacy.Options{})) }, true,
			[]string{"HEALTHY", "on the way   powerjob-shim"}},
		"the shim before a server with its check on": {func(t *testing.T) string {
			return shimIn(t, defaults, standIn(t, legacy.Options{Mode: legacy.CheckOn}))
		}, true,
			[]string{"HEALTHY: the server's OpenAPI check is on", "The shim is no longer needed"}},
		"the shim before a 5.1.1 server": {func(t *testing.T) string {
			return shimIn(t, defaults, standIn(t, legacy.Options{Mode: legacy.Patched}))
		}, true,
			[]string{"HEALTHY", "on the way   powerjob-shim, mode enforce, group default", "The shim is no longer needed"}},
		"the shim before a hop that changes a 5.1.1 server's header": {func(t *testing.T) string {
			return shimIn(t, defaults, goProxy(t, standIn(t, legacy.Options{Mode: legacy.Patched})))
		}, true,
			[]string{"HEALTHY", "because a shim is on the way"}},
		"a shim before a shim": {func(t *testing.T) string {
			return shimIn(t, defaults, shimIn(t, defaults, standIn(t, legacy.Options{})))
		}, true,
			[]string{"HEALTHY", "on the way   powerjob-shim, mode enforce, group default; powerjob-shim, mode enforce, group default", "in a row     2 shims", "because a shim is on the way"}},
		"an observing shim": {func(t *testing.T) string { return observing(t, legacy.Legacy) }, false,
			[]string{"AFFECTED", "on the way   powerjob-shim, mode observe, group default", "A shim is on the way, in mode: observe", "set mode: enforce",
				"lacks        runJob2", "the shim, once it is in mode: enforce, sends it as runJob"}},
		"an observing shim before a 5.1.1 server": {func(t *testing.T) string { return observing(t, legacy.Patched) }, true,
			[]string{"HEALTHY", "mode observe", "The shim is no longer needed"}},
		"a lowercasing hop before an observing shim": {func(t *testing.T) string { return goProxy(t, observing(t, legacy.Patched)) }, false,
			[]string{"AFFECTED", "arrives as X-Powerjob-Auth-Passed", "mode: observe and changes nothing"}},
		"the shim before a server whose hop names itself": {func(t *testing.T) string {
			return hop(t, legacy.New(legacy.Options{Mode: legacy.Patched}), func(line string) []string {
				return append(lowercase(line), "via: 1.1 edge")
			})
		}, false, []string{"AFFECTED", "What names itself in the answers: Via: 1.1 edge"}},
		"the shim's gate before a 5.1.0 server": {func(t *testing.T) string { return gated(t, legacy.Legacy) }, true,
			[]string{"HEALTHY: the gate of a shim on the way, not the server,", "on the way   powerjob-shim, mode enforce, group default, whose gate asks for tokens", "because a shim is on the way"}},
		"the shim's gate before a server with its check on": {func(t *testing.T) string { return gated(t, legacy.CheckOn) }, true,
			[]string{"HEALTHY: the gate of a shim on the way, not the server,", "Whether the server checks tokens itself does not show"}},
		"the shim's gate that lets 4.x clients pass": {func(t *testing.T) string { return gated(t, legacy.Legacy, legacyClients) }, true,
			[]string{"HEALTHY: the gate of a shim on the way, not the server,", "whose gate asks for tokens"}},
		"a Go proxy before the shim's gate": {func(t *testing.T) string { return goProxy(t, gated(t, legacy.Legacy)) }, false,
			[]string{"AFFECTED", "arrives as X-Powerjob-Auth-Passed", "whose gate asks for tokens", "on the server's side of that hop"}},
		"a removing hop before the shim's gate": {func(t *testing.T) string { return removing(t, gated(t, legacy.Legacy)) }, false,
			[]string{"AFFECTED", "Tokens are checked by the shim", "A shim is on the way. Check its rules"}},
		"the shim's gate, closed to this address": {func(t *testing.T) string {
			return gated(t, legacy.Legacy, "POWERJOB_SHIM_AUTH__ALLOW__CIDRS=192.0.2.0/24")
		}, false, []string{"FAILING: a shim answers in the server's place", "It says: powerjob-shim: calls from this address or for this app are not allowed"}},
		"the shim's gate, open to one app": {func(t *testing.T) string {
			return gated(t, legacy.Legacy, "POWERJOB_SHIM_AUTH__ALLOW__APPS=app1")
		}, false, []string{"FAILING: a shim answers in the server's place", "yours may pass"}},
		"the shim that answers with an error for a dead server": {func(t *testing.T) string {
			return shimIn(t, func(server string) (string, func(), error) {
				return startInProcessWith(server, "POWERJOB_SHIM_UPSTREAMS__DEFAULT__UNREACHABLE=error")
			}, "http://"+closedPort(t))
		}, false, []string{"FAILING: a shim answers in the server's place", "It says: powerjob-shim: cannot reach"}},
		"the shim before a 4.x server": {func(t *testing.T) string {
			return shimIn(t, defaults, standIn(t, legacy.Options{Mode: legacy.NoAuthApp}))
		}, false, []string{"OLD SERVER", "add login_bridge to the configuration of the shim that is on the way"}},
		"the shim without a route for that host": {func(t *testing.T) string {
			return shimIn(t, shimFor("other.example"), standIn(t, legacy.Options{}))
		}, false, []string{"FAILING: a shim answers in the server's place", "It says: powerjob-shim: no route for this host and path"}},
		"the shim without its header rule": {func(t *testing.T) string {
			return shimIn(t, shimWith(saveRule, otherRule), standIn(t, legacy.Options{}))
		}, false,
			[]string{"AFFECTED", "A shim is on the way. Check its rules"}},
		"a Go proxy before the shim": {func(t *testing.T) string { return goProxy(t, shimIn(t, defaults, standIn(t, legacy.Options{}))) }, false,
			[]string{"AFFECTED", "The shim is on the server's side of that hop", "Move it to the clients' side"}},
		"a server that anyone can use": {func(t *testing.T) string { return standIn(t, legacy.Options{}) }, false,
			[]string{"open         calls need no token", "CVE-2025-11581"}},
		"the shim before a dead server": {func(t *testing.T) string { return shimIn(t, defaults, "http://"+closedPort(t)) }, false,
			[]string{"FAILING: a shim stands here", "closed without an answer: a shim whose server is down, or nothing", "It says: powerjob-shim: cannot reach the PowerJob server"}},
		"calls are cut": {func(t *testing.T) string { return closing(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi") }, false,
			[]string{"UNREACHABLE", "GET /        200", "cuts calls"}},
		"another web server": {func(t *testing.T) string {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
			t.Cleanup(s.Close)
			return s.URL
		}, false, []string{"NOT POWERJOB"}},
		"a default virtual host": {func(t *testing.T) string {
			return answering(t, "404 Not Found\r\nServer: nginx\r\nContent-Type: text/html")
		}, false, []string{"NOT POWERJOB", "default virtual host", "upstreams.NAME.host", "Server: nginx"}},
		"the shim before a virtual host that does not know its name": {func(t *testing.T) string {
			return shimIn(t, defaults, virtualHost(t, "powerjob.test", standIn(t, legacy.Options{})))
		}, false, []string{"NOT POWERJOB", "default virtual host", "upstreams.NAME.host"}},
		"the shim before a virtual host that it calls by its name": {func(t *testing.T) string {
			return shimIn(t, func(server string) (string, func(), error) {
				return startInProcessWith(server, "POWERJOB_SHIM_UPSTREAMS__DEFAULT__HOST=powerjob.test")
			}, virtualHost(t, "powerjob.test", standIn(t, legacy.Options{})))
		}, true, []string{"HEALTHY"}},
		"the shim with another prefix than the server": {func(t *testing.T) string {
			server := standIn(t, legacy.Options{Prefix: "/x"})
			return shimIn(t, defaults, strings.TrimSuffix(server, "/x")) + "/x"
		}, false, []string{"AFFECTED", "A shim is on the way, and its prefix does not match", "openapi_prefix", "strip_prefix"}},
		"the shim with another prefix than the URL": {func(t *testing.T) string {
			return shimIn(t, defaults, standIn(t, legacy.Options{})) + "/x"
		}, false, []string{"NOT POWERJOB", "A shim is on the way, and its prefix does not match"}},
		"the shim with the server's context path": {func(t *testing.T) string {
			return shimIn(t, defaults, standIn(t, legacy.Options{Prefix: "/x"})+"/openApi/")
		}, true, []string{"HEALTHY", "on the way   powerjob-shim"}},
		"a redirect": {func(t *testing.T) string { return answering(t, "302 x\r\nLocation: https://other/") }, false, []string{"redirects to https://other/"}},
		"a login":    {func(t *testing.T) string { return answering(t, "401 x") }, false, []string{"wants a login"}},
		"a gateway":  {func(t *testing.T) string { return answering(t, "502 x") }, false, []string{"FAILING", "status 502"}},
		"nobody":     {func(t *testing.T) string { return closedPort(t) }, false, []string{"UNREACHABLE", "Nothing listens"}},
		"garbage": {func(t *testing.T) string {
			return raw(t, func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-x\r\n") })
		}, false, []string{"UNREACHABLE", "not an HTTP server"}},
		"a cut":       {func(t *testing.T) string { return raw(t, func(net.Conn) {}) }, false, []string{"UNREACHABLE", "was cut"}},
		"silence":     {func(t *testing.T) string { return raw(t, func(net.Conn) { time.Sleep(time.Second) }) }, false, []string{"UNREACHABLE", "--timeout"}},
		"a slow body": {func(t *testing.T) string { return standIn(t, legacy.Options{Delay: time.Minute}) }, false, []string{"UNREACHABLE", "--timeout"}},
		"no TLS": {func(t *testing.T) string {
			return strings.Replace(standIn(t, legacy.Options{}), "http:", "https:", 1)
		}, false, []string{"UNREACHABLE", "does not speak TLS"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			timeout := 5 * time.Second
			if name == "silence" || name == "a slow body" {
				timeout = 50 * time.Millisecond
			}
			var out strings.Builder
			err := examine(t.Context(), &out, []string{c.target(t)}, timeout, false)
			if healthy := err == nil; healthy != c.healthy || err != nil && !errors.Is(err, errUnhealthy) {
				t.Errorf("error %v, want healthy=%t\n%s", err, c.healthy, out.String())
			}
			for _, want := range c.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%q is missing in\n%s", want, out.String())
				}
			}
			wellPut(t, out.String())
			if strings.Contains(out.String(), "powerjob-shim duplicates") != strings.Contains(out.String(), "AFFECTED") {
				t.Errorf("what was made twice is to be looked for where calls are sent twice, and only there:\n%s", out.String())
			}
		})
	}
}

func TestTheReadmeShowsWhatTheDoctorPrints(t *testing.T) {
	target := standIn(t, legacy.Options{})
	var out strings.Builder
	if err := examine(t.Context(), &out, []string{target}, 5*time.Second, false); !errors.Is(err, errUnhealthy) {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if shown := "```text\n" + strings.ReplaceAll(out.String(), target, "http://127.0.0.1:7701") + "```"; !strings.Contains(string(text), shown) {
		t.Errorf("README.md does not show this:\n%s", shown)
	}
}

func TestTheDoctorSeesWhatAServerHas(t *testing.T) {
	var out strings.Builder
	if err := examine(t.Context(), &out, []string{standIn(t, legacy.Options{Mode: legacy.Patched, New: true})}, 5*time.Second, false); err != nil || strings.Contains(out.String(), "lacks") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestTheDoctorLooksThroughTLSAndWarnsOfHTTP2(t *testing.T) {
	for _, c := range []struct {
		h2   bool
		want string
	}{{false, "HEALTHY"}, {true, "takes HTTP/2"}} {
		s := httptest.NewUnstartedServer(legacy.New(legacy.Options{Mode: legacy.Patched}))
		s.EnableHTTP2 = c.h2
		s.StartTLS()
		t.Cleanup(s.Close)
		var out strings.Builder
		err := examine(t.Context(), &out, []string{s.URL}, 5*time.Second, false)
		if (err == nil) == c.h2 || !strings.Contains(out.String(), c.want) || !strings.Contains(out.String(), "TLS 1.3; a client that checks certificates refuses this one (x509: ") {
			t.Errorf("h2=%t: %v\n%s", c.h2, err, out.String())
		}
		out.Reset()
		err = examine(t.Context(), &out, []string{strings.Replace(s.URL, "https", "http", 1)}, 5*time.Second, false)
		if err == nil || !strings.Contains(out.String(), "  powerjob-shim doctor "+s.URL+"\n") {
			t.Errorf("plain: %v\n%s", err, out.String())
		}
	}
}

func TestTheDoctorRefusesWhatIsNoURL(t *testing.T) {
	for _, target := range []string{"", "ftp://x", "http://", "http://x/?a=b", "http://u:p@x", "http://[::1", "http://x:port"} {
		if err := examine(t.Context(), io.Discard, []string{target}, time.Second, false); err == nil || errors.Is(err, errUnhealthy) {
			t.Errorf("%q: error %v", target, err)
		}
	}
	if err := examine(t.Context(), io.Discard, []string{"http://x"}, 0, false); err == nil || !strings.Contains(err.Error(), "--timeout") {
		t.Errorf("error %v", err)
	}
}

func TestTheDoctorStopsWhenItIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	server := raw(t, func(c net.Conn) {
		cancel()
		_, _ = io.Copy(io.Discard, c)
	})
	if err := examine(ctx, io.Discard, []string{server}, time.Hour, false); !errors.Is(err, errUnhealthy) {
		t.Errorf("error %v", err)
	}
}
