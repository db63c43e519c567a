package upstream

import (
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"powerjob-shim/internal/leaks"
	"powerjob-shim/metrics"
	"powerjob-shim/proxy/upstream/connect"
)

// patience bounds what should happen at once; no test that passes waits for it.
const patience = 30 * time.Second

func TestMain(m *testing.M) { leaks.Main(m) }

// groupOf is a group of these servers.
func groupOf(t testing.TB, u Settings, servers ...string) *Group {
	t.Helper()
	for _, s := range servers {
		base, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		u.Servers = append(u.Servers, base)
	}
	g, err := New("g", u, nil, Options{Logger: zap.NewNop(), Metrics: metrics.New(nil, nil), Dialer: &connect.Dialer{Limit: patience}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

// syncs counts how often a log is told to write what waits.
type syncs struct {
	zapcore.Core
	n atomic.Int64
}

func (s *syncs) Sync() error { s.n.Add(1); return nil }

func TestWhatLedToAPanicInTheBackgroundIsWritten(t *testing.T) {
	core := &syncs{Core: zapcore.NewNopCore()}
	func() {
		defer func() { _ = recover() }()
		(&Group{log: zap.New(core)}).logged(func() { panic("boom") })()
	}()
	if core.n.Load() != 1 {
		t.Error("the log is not written")
	}
}

func TestHostPortNamesTheSchemesPort(t *testing.T) {
	for in, want := range map[string]string{"http://a": "a:80", "https://a": "a:443", "http://a:1": "a:1", "http://[::1]": "[::1]:80"} {
		u, err := url.Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := hostPort(u); got != want {
			t.Errorf("hostPort(%s) is %s, want %s", in, got, want)
		}
	}
}
