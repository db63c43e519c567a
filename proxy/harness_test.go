package proxy

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"powerjob-shim/internal/await"
	"powerjob-shim/internal/store"
	"powerjob-shim/internal/store/storetest"
	"powerjob-shim/metrics"
	"powerjob-shim/proxy/listen"
	up "powerjob-shim/proxy/upstream"
	"powerjob-shim/proxy/upstream/connect"
	"powerjob-shim/rules"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/openapi"
)

// patience bounds what should happen at once; it is long because the machine
// may be busy, and no test that passes waits for it.
const patience = time.Minute

// bodyTimeoutByDefault is what a listener's BodyTimeout is.
const bodyTimeoutByDefault = 30 * time.Second

// hungUpStatus is the status in log and metrics of requests whose caller hung up.
const hungUpStatus = 499

// Headers, as net/http stores them.
const (
	headerForwardedFor   = "X-Forwarded-For"
	headerForwardedHost  = "X-Forwarded-Host"
	headerForwardedProto = "X-Forwarded-Proto"
	headerShim           = up.ShimHeader
)

// shim is a Proxy that serves on real sockets.
type shim struct {
	*Proxy
	addr, admin string
	logs        *observer.ObservedLogs
	registry    *prometheus.Registry
	stop, now   context.CancelFunc
	done        chan error // what Serve returned
}

// authRule is the rule that the default configuration has.
var authRule = rules.Rule{
	Name: "auth-passed", Paths: []string{"/openApi/*"},
	Header: &rules.Header{Name: openapi.AuthHeader, Value: "true"},
}

func compileRules(t testing.TB, list ...rules.Rule) *rules.Set {
	t.Helper()
	set, err := rules.Compile(list)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// settingsFor are settings with the header rule in front of servers.
func settingsFor(t testing.TB, servers ...string) Settings {
	t.Helper()
	u := Upstream{Settings: up.Settings{Timeout: patience}}
	for _, s := range servers {
		base, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		u.Servers = append(u.Servers, base)
	}
	return Settings{
		Upstreams: map[string]Upstream{"default": u},
		Rules:     compileRules(t, authRule),
		AccessLog: true,
		Shutdown:  Shutdown{Grace: patience},
	}
}

// answering are settings under which callers get an answer also where nothing was
// sent to a server.
func answering(s Settings) Settings {
	for name, u := range s.Upstreams {
		u.AnswerUnreachable = true
		s.Upstreams[name] = u
	}
	return s
}

func newShim(t testing.TB, s Settings) *shim {
	t.Helper()
	return newShimOn(t, s, nil, nil)
}

// newShimOn is newShim with stores that outlive the shim; nil: its own.
func newShimOn(t testing.TB, s Settings, store store.Store, tokens access.SharedTokens) *shim {
	t.Helper()
	return newShimAt(t, s, store, tokens, listen.Listener{})
}

// newShimAt is newShimOn with a listener that at describes, but for its address.
func newShimAt(t testing.TB, s Settings, record store.Store, tokens access.SharedTokens, at listen.Listener) *shim {
	t.Helper()
	at.Address = "127.0.0.1:0"
	core, logs := observer.New(zapcore.DebugLevel)
	registry := prometheus.NewRegistry()
	p, err := New(Options{Logger: zap.New(core), Metrics: metrics.New(registry, openapi.Names()), Store: ordered(t, record, s), Tokens: tokens, Version: "test",
		Dialer: &connect.Dialer{Limit: patience}}, s) // a handshake takes a while on a busy machine
	if err != nil {
		t.Fatal(err)
	}
	srv, err := p.Listen(Listeners{Clients: []listen.Listener{at}, Admin: "127.0.0.1:0", Gatherer: registry})
	if err != nil {
		t.Fatal(err)
	}
	stop, cancelStop := context.WithCancel(context.Background())
	now, cancelNow := context.WithCancel(context.Background())
	sh := &shim{
		Proxy: p, addr: srv.Addrs()[0].String(), admin: srv.AdminAddr().String(),
		logs: logs, registry: registry, stop: cancelStop, now: cancelNow, done: make(chan error, 1),
	}
	go func() { sh.done <- srv.Serve(stop, now) }()
	t.Cleanup(func() {
		cancelNow()
		cancelStop()
		select {
		case err := <-sh.done:
			sh.done <- err
		case <-time.After(patience):
			t.Error("the shim did not stop")
		}
	})
	return sh
}

// ordered returns record, nil: a new one, for a shim that is held to the order of a
// call's steps until the test ends. The simulation is held to the same.
func ordered(t testing.TB, record store.Store, s Settings) store.Store {
	if record == nil {
		record = store.NewMemory(s.Dedup.Limits)
	}
	o := &storetest.Ordered{Store: record}
	t.Cleanup(func() { // when the shim has stopped, but for what net/http's server has cut off
		await.That(t, "all calls are over", func() bool {
			_, left := o.Breaches()
			return left == 0
		})
		if wrong, _ := o.Breaches(); len(wrong) > 0 {
			t.Errorf("steps of calls are out of order: %q", wrong)
		}
	})
	return o
}

// upstream is a server that answers with h.
func upstream(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// deadServer is the address of nobody, another one each time.
func deadServer(t testing.TB) string {
	t.Helper()
	for {
		// Not 127.0.0.1: a shim that listens there could get the port next.
		ln, err := net.Listen("tcp", "127.0.0.2:0")
		if err != nil {
			t.Fatal(err)
		}
		_ = ln.Close()
		if _, given := dead.LoadOrStore(ln.Addr().String(), true); !given {
			return "http://" + ln.Addr().String()
		}
	}
}

var dead sync.Map // the addresses that deadServer has returned

// logLine waits for the log line of the n-th request, from 0: it is written
// after the answer.
func (s *shim) logLine(t testing.TB, n int) map[string]any {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if all := s.logs.FilterMessage("request").All(); len(all) > n {
			return all[n].ContextMap()
		}
	}
	t.Fatalf("request %d was not logged", n)
	return nil
}

// sum adds up a metric's series whose labels include those given.
func (s *shim) sum(t testing.TB, name string, labels ...string) float64 {
	t.Helper()
	families, err := s.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	total := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			has := 0
			for _, l := range m.GetLabel() {
				for i := 0; i+1 < len(labels); i += 2 {
					if l.GetName() == labels[i] && l.GetValue() == labels[i+1] {
						has++
					}
				}
			}
			if has == len(labels)/2 {
				total += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return total
}

var authLine = textproto.CanonicalMIMEHeaderKey(openapi.AuthHeader)

// newUnstartedUpstream is upstream, for tests that set it up before it starts.
func newUnstartedUpstream(t testing.TB, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	t.Cleanup(s.Close)
	return s
}
