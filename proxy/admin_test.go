package proxy

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"powerjob-shim/proxy/admin"
)

func TestReadinessFollowsTheUpstream(t *testing.T) {
	dead := deadServer(t)
	s := newShim(t, settingsFor(t, dead))
	addr := strings.TrimPrefix(dead, "http://")
	if code, body := s.ask(t, "/readyz"); code != 503 || body != "no upstream server is ready\nupstream default: "+addr+": connection refused\n" {
		t.Errorf("/readyz says %d %q", code, body)
	}
	if code, body := s.ask(t, "/healthz"); code != 200 || body != "ok\n" {
		t.Errorf("/healthz says %d %q", code, body)
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Skipf("the port was taken meanwhile: %v", err)
	}
	defer func() { _ = ln.Close() }()
	if code, body := readyz(s.Proxy, "/readyz"); code != 200 || body != "ok\n" {
		t.Errorf("/readyz says %d %q after the server came", code, body)
	}
}

func TestOneReachableServerIsEnoughAndTheOthersAreNamed(t *testing.T) {
	s := newShim(t, settingsFor(t, newRawServer(t, "").url, deadServer(t)))
	code, body := s.ask(t, "/readyz")
	if code != 200 || !strings.HasPrefix(body, "ok\nupstream default: 127.0.0.2:") || !strings.Contains(body, "connection refused") {
		t.Errorf("/readyz says %d %q", code, body)
	}
}

func TestAProbeIsSharedForAWhile(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	probes := make(chan struct{}, 100)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			probes <- struct{}{}
			_ = c.Close()
		}
	}()
	s := newShim(t, settingsFor(t, "http://"+ln.Addr().String()))
	for range 5 {
		s.ask(t, "/readyz")
	}
	<-probes
	if n := len(probes); n > 1 { // one more if this took longer than probeAge
		t.Errorf("%d probes for 5 questions", n+1)
	}
}

func TestStatusTellsVersionConfigurationAndUpstreams(t *testing.T) {
	up := newRawServer(t, answerWith())
	settings := settingsFor(t, up.url)
	settings.Hash = "c0ffee"
	s := newShim(t, settings)
	_, body := s.ask(t, "/status")
	var got admin.Status
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	if got.Version != "test" || got.Configuration != "c0ffee" || got.Draining || got.UptimeSeconds < 0 || time.Since(got.Started) > patience ||
		len(got.Upstreams) != 1 || got.Upstreams[0].Name != "default" || len(got.Upstreams[0].Servers) != 1 ||
		got.Upstreams[0].Servers[0].Server != strings.TrimPrefix(up.url, "http://") || !got.Upstreams[0].Servers[0].Reachable {
		t.Errorf("/status says %s", body)
	}
}

func TestMetricsAreServedAndPprofOnlyWhenAsked(t *testing.T) {
	s := newShim(t, settingsFor(t, newRawServer(t, answerWith()).url))
	raw(t, s.addr, request("POST", "/openApi/saveJob", "{}"))
	s.logLine(t, 0)
	if code, body := s.ask(t, "/metrics"); code != 200 || !strings.Contains(body, `powerjob_shim_requests_total{call="saveJob",code="200",route="default"} 1`) {
		t.Errorf("/metrics says %d %s", code, body)
	}
	for path, want := range map[string]int{"/debug/pprof/": 404, "/nothing": 404} {
		if code, _ := s.ask(t, path); code != want {
			t.Errorf("%s says %d, want %d", path, code, want)
		}
	}
	with := httptest.NewServer(s.Admin(admin.Options{Pprof: true}))
	defer with.Close()
	for path, want := range map[string]int{"/debug/pprof/": 200, "/debug/pprof/cmdline": 200, "/metrics": 404} {
		res, err := http.Get(with.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s says %d, want %d", path, res.StatusCode, want)
		}
	}
}
