package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"powerjob-shim/internal/standin/legacy"
)

const saves = 5

// TestSaveJobThroughTheShimIsExecutedOnce has every client save jobs, directly
// and through proxies; what counts is what the server received and executed.
func TestSaveJobThroughTheShimIsExecutedOnce(t *testing.T) {
	t.Parallel()
	direct := func(_ *testing.T, server string) string { return server }
	through := func(t *testing.T, server string) string { return startShim(t, server).Listen }
	need(t, "java", "mvn")
	for _, c := range []struct {
		name    string
		version string
		mode    legacy.Mode
		path    func(t *testing.T, server string) string
		want    int // executions and requests for each save
	}{
		{"5.1.0 directly, twice", v510, legacy.Legacy, direct, 2},
		{"5.1.1 directly, twice", v511, legacy.Legacy, direct, 2},
		{"5.1.0 through the shim", v510, legacy.Legacy, through, 1},
		{"5.1.1 through the shim", v511, legacy.Legacy, through, 1},
		{"5.1.0 to a patched server through a plain Go proxy, twice", v510, legacy.Patched, plainProxy, 2},
		{"5.1.0 to a patched server through the shim", v510, legacy.Patched, through, 1},
		{"5.1.0 to a server with its check on through a plain Go proxy, twice", v510, legacy.CheckOn, plainProxy, 2},
		{"5.1.0 to a server with its check on through the shim", v510, legacy.CheckOn, through, 1},
		{"5.1.0 to a server with its check on directly", v510, legacy.CheckOn, direct, 1},
		{"4.3.6 directly", v436, legacy.NoAuthApp, direct, 1},
		{"4.3.6 through the shim", v436, legacy.NoAuthApp, through, 1},
		{"4.3.6 to a 5.1.0 server directly", v436, legacy.Legacy, direct, 1},
		{"4.3.6 to a 5.1.0 server through the shim", v436, legacy.Legacy, through, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // most of it is the start of a JVM
			server, address := startStandIn(t, legacy.Options{Mode: c.mode})
			client := newClient(t, c.version, standInApp, c.path(t, address))
			for i := range saves {
				client.must(t, 0, "saveJob", job(fmt.Sprint("nightly ", i)))
			}
			if got, want := server.Executed("saveJob"), saves*c.want; got != want {
				t.Errorf("%d saves made %d jobs, want %d", saves, got, want)
			}
			if got, want := len(server.State().Jobs), saves*c.want; got != want {
				t.Errorf("the server has %d jobs, want %d", got, want)
			}
			if got, want := server.Received("saveJob"), saves*c.want; got != want {
				t.Errorf("the server received %d saveJob requests, want %d", got, want)
			}
		})
	}
}

// TestThe436ClientPassesUntouched compares what the server sees of a 4.3.6
// client with and without the shim.
func TestThe436ClientPassesUntouched(t *testing.T) {
	need(t, "java", "mvn")
	seen := func(shimmed bool) string {
		server, address := startStandIn(t, legacy.Options{Mode: legacy.NoAuthApp})
		if shimmed {
			address = startShim(t, address).Listen
		}
		client := newClient(t, v436, standInApp, address)
		id := client.must(t, 0, "saveJob", job("nightly")).id(t)
		client.must(t, 0, "fetchJob", id)
		client.must(t, 0, "runJob", id, "a b&c=ü", 0)
		client.must(t, 0, "fetchAllJob")
		var b strings.Builder
		for _, r := range server.Requests() {
			if strings.HasPrefix(r.Header.Get("User-Agent"), "powerjob-shim") {
				continue // the probe of the start
			}
			r.Header.Del("X-Forwarded-For") // what a proxy says of itself
			r.Header.Del("X-Forwarded-Host")
			r.Header.Del("X-Forwarded-Proto")
			r.Header.Del("X-Request-Id")
			r.Header.Del("Cdn-Loop")
			r.Header.Del("Connection") // of the hop
			fmt.Fprintf(&b, "%s %s host given: %t %v %s\n", r.Method, r.URI, r.Host == address, r.Header, r.Body)
		}
		return b.String()
	}
	direct, through := seen(false), seen(true)
	if direct != through {
		t.Errorf("directly the server sees\n%s\nthrough the shim\n%s", direct, through)
	}
}

// plainProxy is what a Go reverse proxy is without further care. Its transport
// is its own: httptest servers that close meddle with the default one.
func plainProxy(t *testing.T, server string) string {
	t.Helper()
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: server})
	proxy.Transport = &http.Transport{}
	front := httptest.NewServer(patient(proxy))
	t.Cleanup(front.Close)
	return strings.TrimPrefix(front.URL, "http://")
}
