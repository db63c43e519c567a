package proxy

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"powerjob-shim/internal/tcpfaults"
	"powerjob-shim/internal/testca"
	"powerjob-shim/proxy/admin"
	"powerjob-shim/proxy/exchange"
	up "powerjob-shim/proxy/upstream"
)

const unknownApp = `{"success":false,"data":null,"message":"can't find app"}`

// probed is a Proxy that probes its servers, and what it logs.
func probed(t *testing.T, s Settings) (*Proxy, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.WarnLevel)
	p, err := New(Options{Logger: zap.New(core), Probe: true}, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.end(exchange.ErrStopping); p.running.Wait() })
	return p, logs
}

// readyz asks p for a path like "/readyz?group=a".
func readyz(p *Proxy, path string) (int, string) {
	w := httptest.NewRecorder()
	p.Admin(admin.Options{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

// A server that was written down wrong is told from one that is right.
func TestWhatDoesNotFitIsSaidAtTheStart(t *testing.T) {
	answering := func(status int, body string) string {
		return upstream(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		})
	}
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, unknownApp) }))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	alert := "http://" + tcpfaults.Serve(t, func(c net.Conn) { // what Java's TLS says to plain HTTP
		defer c.Close()
		var b [1]byte
		if _, err := io.ReadFull(c, b[:]); err != nil {
			return
		}
		_, _ = c.Write([]byte{21, 3, 3, 0, 2, 2, 80})
	})
	for _, c := range []struct {
		name, server string
		code         int
		problem      string // "": no WARN
		advice       string
	}{
		{"a PowerJob server", answering(200, unknownApp), 200, "", ""},
		{"http:// to a TLS port", strings.Replace(secure.URL, "https", "http", 1), 503, "it speaks TLS", "write https://"},
		{"http:// to a TLS port that answers with an alert", alert, 503, "it speaks TLS", "write https://"},
		{"https:// to a plain port", strings.Replace(answering(200, unknownApp), "http", "https", 1), 503, "it does not speak TLS", "write http://"},
		{"an untrusted certificate", secure.URL, 503, "its certificate is not trusted", "upstreams.default.tls.ca_file"},
		{"no server", deadServer(t), 503, "connection refused", "check that it runs"},
		{"itself", answering(508, ""), 503, "it leads back to this shim", "the PowerJob server's own address"},
		{"a server that fails", answering(503, ""), 503, "status 503", "log"},
		{"a virtual host", answering(404, ""), 200, "status 404 to /openApi/assert", "upstreams.default.host"},
		{"a 400 of its own", answering(400, ""), 200, "status 400", "upstreams.default.servers"},
		{"no PowerJob server", answering(200, "<html>"), 200, "its answer is not PowerJob's", "upstreams.default.servers"},
	} {
		p, logs := probed(t, settingsFor(t, c.server))
		eventually(t, c.name+": a verdict", func() bool {
			_, body := readyz(p, "/readyz")
			return !strings.Contains(body, "not answered yet")
		})
		code, body := readyz(p, "/readyz")
		if code != c.code || !strings.Contains(body, c.problem) || c.problem == "" && body != "ok\n" {
			t.Errorf("%s: /readyz says %d %q", c.name, code, body)
		}
		if c.problem == "" {
			if n := logs.Len(); n != 0 {
				t.Errorf("%s: the log says %v", c.name, logs.All())
			}
			continue
		}
		eventually(t, c.name+": a WARN", func() bool { return logs.FilterFieldKey("advice").Len() > 0 })
		warned := logs.FilterFieldKey("advice").All()
		f := warned[0].ContextMap()
		if !strings.Contains(f["problem"].(string), c.problem) || !strings.Contains(f["advice"].(string), c.advice) {
			t.Errorf("%s: the log says %v", c.name, f)
		}
	}
}

func TestEachGroupIsReadyForItself(t *testing.T) {
	good := upstream(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, unknownApp) })
	settings := settingsFor(t, good)
	parse := func(server string) Upstream {
		base, err := url.Parse(server)
		if err != nil {
			t.Fatal(err)
		}
		return Upstream{Settings: up.Settings{Servers: []*url.URL{base}, Timeout: patience}}
	}
	settings.Upstreams["dead"] = parse(deadServer(t))
	settings.Upstreams["unused"] = parse(deadServer(t))
	settings.Routes = []Route{{Name: "a", Hosts: []string{"a.test"}, Upstream: "dead"}, {Name: "b", Upstream: "default"}}
	p, _ := probed(t, settings)
	eventually(t, "the first verdicts", func() bool { code, _ := readyz(p, "/readyz"); return code == 200 })
	for _, c := range []struct {
		path string
		all  bool
		code int
		body string // its beginning
	}{
		{"/readyz", false, 200, "ok\nupstream dead: 127.0.0.2:"},
		{"/readyz?group=default", false, 200, "ok\n"},
		{"/readyz?group=dead", false, 503, "no server is ready of upstream dead\nupstream dead: "},
		{"/readyz?group=other", false, 404, `there is no upstream "other"; there is dead, default, unused`},
		{"/readyz?group=", false, 404, "there is no upstream"},
		{"/readyz", true, 503, "no server is ready of upstream dead (admin.ready is all)\n"},
		{"/readyz?group=default", true, 200, "ok\n"},
	} {
		settings.ReadyAll = c.all
		if err := p.Swap(settings); err != nil {
			t.Fatal(err)
		}
		if code, body := readyz(p, c.path); code != c.code || !strings.HasPrefix(body, c.body) {
			t.Errorf("%s, all %v: %d %q", c.path, c.all, code, body)
		}
	}
}

// Under host: keep there is no caller whose Host a probe could carry.
func TestAProbeCarriesTheFirstExactHostOfTheRoutes(t *testing.T) {
	hosts := make(chan string, 10)
	server := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		hosts <- r.Host + " " + r.URL.Path
		_, _ = io.WriteString(w, unknownApp)
	})
	for _, c := range []struct {
		routes []Route
		host   string
		want   string
	}{
		{nil, "", strings.TrimPrefix(server, "http://")},
		{[]Route{{Name: "r", Hosts: []string{"*.jobs.test", "Jobs.test", "b.test"}, Upstream: "default"}}, up.HostKeep, "jobs.test"},
		{[]Route{{Name: "r", Hosts: []string{"jobs.test"}, Upstream: "default"}}, "other.test", "other.test"},
	} {
		settings := settingsFor(t, server)
		settings.Routes = c.routes
		u := settings.Upstreams["default"]
		u.Host, u.OpenAPIPrefix = c.host, "/x/openApi"
		settings.Upstreams["default"] = u
		probed(t, settings)
		if got := <-hosts; got != c.want+" /x/openApi/assert" {
			t.Errorf("routes %v, host %q: the server was asked for %q", c.routes, c.host, got)
		}
	}
}

// health.active has servers that speak TLS down, where http:// is written.
func TestAHealthCheckTakesATLSPortForDown(t *testing.T) {
	ca := testca.New(t)
	cert, key := ca.Leaf(t, "powerjob.test")
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	settings := checked(t, false, strings.Replace(server.URL, "https", "http", 1))
	s := newShim(t, settings)
	eventually(t, "the server is down", func() bool {
		return s.snap.Load().Groups["default"].Upstream.Servers[0].Standing(time.Now()) == up.StandingDown
	})
}
