package proxy

import (
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"powerjob-shim/proxy/listen"
)

func TestPlainHTTPIsRedirectedButForTheCalls(t *testing.T) {
	for _, c := range []struct {
		name     string
		to       listen.Redirect
		request  string
		location string // "": it is served
	}{
		{"a page", listen.Redirect{}, get("/", "h.test"), "https://h.test/"},
		{"its query and encoding", listen.Redirect{}, get("/a%2Fb/?q=%20", "h.test"), "https://h.test/a%2Fb/?q=%20"},
		{"another port", listen.Redirect{Port: 7443}, get("/x", "h.test:7700"), "https://h.test:7443/x"},
		{"the usual port", listen.Redirect{Port: 443}, get("/x", "h.test:80"), "https://h.test/x"},
		{"an IPv6 address", listen.Redirect{Port: 7443}, get("/x", "[::1]:80"), "https://[::1]:7443/x"},
		{"an IPv6 address without a port", listen.Redirect{}, get("/x", "[::1]"), "https://[::1]/x"},
		{"a call", listen.Redirect{}, request("POST", "/openApi/runJob", "jobId=1"), ""},
		{"a call in other letters", listen.Redirect{}, request("POST", "/%6fpenApi/runJob", "jobId=1"), ""},
		{"a call under the group's prefix", listen.Redirect{}, request("POST", "/x/openApi/runJob", "jobId=1"), ""},
		{"a call, if told so", listen.Redirect{OpenAPI: true}, request("POST", "/openApi/runJob", "jobId=1"), "https://shim.test/openApi/runJob"},
		{"what came by https to a trusted proxy", listen.Redirect{}, request("GET", "/", "", "X-Forwarded-Proto: https"), ""},
		{"from a trusted proxy, in capitals", listen.Redirect{}, request("GET", "/", "", "X-Forwarded-Proto: HTTPS"), ""},
		{"a WebSocket that came by TLS to a trusted proxy", listen.Redirect{}, request("GET", "/", "", "X-Forwarded-Proto: wss"), ""},
		{"what came by https to the first of two trusted proxies", listen.Redirect{}, request("GET", "/", "", "X-Forwarded-Proto: https, http"), ""},
		{"from trusted proxies, without a space", listen.Redirect{}, request("GET", "/", "", "X-Forwarded-Proto: HTTPS,http"), ""},
		{"what came by http to the first of two trusted proxies", listen.Redirect{}, request("GET", "/a", "", "X-Forwarded-Proto: http, https"), "https://shim.test/a"},
		{"a WebSocket in clear to a trusted proxy", listen.Redirect{}, request("GET", "/a", "", "X-Forwarded-Proto: ws"), "https://shim.test/a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			settings := settingsFor(t, upstream(t, func(http.ResponseWriter, *http.Request) {}))
			if strings.Contains(c.name, "prefix") {
				u := settings.Upstreams["default"]
				u.OpenAPIPrefix = "/x/openApi"
				settings.Upstreams["default"] = u
			}
			if strings.Contains(c.name, "trusted") {
				settings.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
			}
			_, plain, _ := newTLSShim(t, settings, &c.to, nil)
			answer := raw(t, plain, c.request)
			want := 308
			if c.location == "" {
				want = 200
			}
			if got := statusOf(answer); got != want {
				t.Errorf("got %q, want %d", answer, want)
			}
			if found := lines(answer, "location"); c.location != "" && (len(found) != 1 || found[0] != "Location: "+c.location) {
				t.Errorf("got %q, want %s", found, c.location)
			}
		})
	}
}

func TestWhoeverClaimsToHaveComeByHTTPSIsRedirectedToo(t *testing.T) {
	_, plain, _ := newTLSShim(t, settingsFor(t, deadServer(t)), &listen.Redirect{}, nil)
	if answer := raw(t, plain, request("GET", "/", "", "X-Forwarded-Proto: https")); statusOf(answer) != 308 {
		t.Errorf("got %q", answer)
	}
	if answer := raw(t, plain, "GET / HTTP/1.0\r\n\r\n"); statusOf(answer) != 400 {
		t.Errorf("without a host: %q", answer)
	}
}

func TestChallengesAreAnsweredOnPlainListenersOnly(t *testing.T) {
	challenge := func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/.well-known/acme-challenge/token" {
			return false
		}
		_, _ = io.WriteString(w, "proof")
		return true
	}
	up := newRawServer(t, answerWith())
	settings := settingsFor(t, up.url)
	settings.Routes = []Route{{Name: "main", Hosts: []string{"other.test"}, Upstream: "default"}}
	https, plain, _ := newTLSShim(t, settings, &listen.Redirect{}, challenge)
	asked := get("/.well-known/acme-challenge/token", "shim.test")
	if answer := raw(t, plain, asked); statusOf(answer) != 200 || !strings.HasSuffix(answer, "proof") {
		t.Errorf("got %q", answer)
	}
	if answer := rawTLS(t, https, asked); statusOf(answer) != 404 {
		t.Errorf("over TLS: %q", answer)
	}
	if answer := raw(t, plain, get("/.well-known/acme-challenge/other", "other.test")); statusOf(answer) != 308 {
		t.Errorf("another's challenge: %q", answer)
	}
}

func get(target, host string) string {
	return "GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n"
}
