package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"sync"
	"testing"
	"time"

	"powerjob-shim/internal/await"
	"powerjob-shim/internal/redistest"
	"powerjob-shim/internal/standin/legacy"
)

// startReplicas runs n shims that share a store.
func startReplicas(t *testing.T, n int, upstream, redis string) []*shim {
	t.Helper()
	file := fileWith(t, "shim.yaml", "dedup: {store: redis, redis: {"+redis+"}}\n")
	shims := make([]*shim, n)
	for i := range shims {
		shims[i] = startShim(t, upstream, "--config", file)
	}
	return shims
}

// balancer is a plain Go proxy that spreads requests over the shims by chance:
// it writes the header's name in canonical case, so that the client repeats
// every call, and the re-send lands anywhere.
func balancer(t *testing.T, shims []*shim) string {
	t.Helper()
	spread := &spreading{shims: shims, to: &http.Transport{MaxIdleConnsPerHost: 32}}
	t.Cleanup(spread.to.CloseIdleConnections)
	server := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "shims" },
		Transport:    spread,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	})
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

type spreading struct {
	shims []*shim
	to    *http.Transport
}

// RoundTrip implements http.RoundTripper: another shim only if one takes no
// connection.
func (s *spreading) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	first := rand.IntN(len(s.shims))
	for i := range s.shims {
		out := r.Clone(r.Context())
		out.URL.Host = s.shims[(first+i)%len(s.shims)].Listen
		out.Body = io.NopCloser(bytes.NewReader(body))
		res, err := s.to.RoundTrip(out)
		var dial *net.OpError
		if err == nil || !errors.As(err, &dial) || dial.Op != "dial" {
			return res, err
		}
	}
	return nil, errors.New("no shim takes connections")
}

// made is one logical call: a runJob with parameters of its own.
type made struct {
	params       string
	began, ended time.Time
	result       result
}

// loop makes calls on each of the clients, one after another, until stop.
func loop(stop <-chan struct{}, clients []*javaClient, job int64) (soFar func() int, wait func() []made) {
	var (
		wg  sync.WaitGroup
		mu  sync.Mutex
		all []made
	)
	for i, c := range clients {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				m := made{params: fmt.Sprintf("client %d call %d.", i, n), began: time.Now()}
				m.result = c.call(0, "runJob", job, m.params, 0)
				m.ended = time.Now()
				mu.Lock()
				all = append(all, m)
				mu.Unlock()
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	soFar = func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(all)
	}
	return soFar, func() []made { wg.Wait(); return all }
}

// judgeLoop compares what was called with what was executed. Outside the time
// from..to nothing may be doubled, and nothing dropped at any time.
func judgeLoop(t *testing.T, server *legacy.Server, calls []made, limit string, from, to time.Time) {
	t.Helper()
	executed := map[string]int{}
	total := 0
	for _, e := range server.Executions() {
		if e.Call == "runJob" {
			total++
			for _, c := range calls {
				if strings.Contains(e.Input, c.params) {
					executed[c.params]++
				}
			}
		}
	}
	failed := 0
	var doubled []string
	for _, c := range calls {
		succeeded := c.result.Exception == "" && c.result.Success
		if !succeeded {
			failed++
		}
		n := executed[c.params]
		during := c.ended.After(from) && c.began.Before(to)
		switch {
		case n == 0 && succeeded:
			t.Errorf("%q succeeded and was not executed", c.params)
		case n > 1:
			doubled = append(doubled, fmt.Sprintf("%s (%v after the fault)", c.params, c.began.Sub(from).Round(time.Millisecond)))
			if !during || n > 2 {
				t.Errorf("%q executed %d times, which is not %q", c.params, n, limit)
			}
		case n == 0 && !during:
			t.Errorf("%q failed: %v", c.params, c.result)
		}
	}
	t.Logf("called %d, executed %d, failed %d, doubled %d, limit: %s\n%s",
		len(calls), total, failed, len(doubled), limit, strings.Join(doubled, "; "))
	if len(calls) < 50 {
		t.Errorf("only %d calls were made", len(calls))
	}
}

// TestReplicasExecuteEveryCallOnce has real clients call through two shims that
// share a store, and breaks something in the middle.
func TestReplicasExecuteEveryCallOnce(t *testing.T) {
	t.Parallel()
	need(t, "java", "mvn", "redis-server")
	for _, c := range []struct {
		name     string
		sentinel bool
		balanced bool // a hop that loses the header and spreads the requests
		limit    string
		fault    func(t *testing.T, shims []*shim, redis func() *redistest.Server)
		restores func(redis *redistest.Server)
	}{
		{name: "nothing breaks", balanced: true, limit: "none"},
		{
			name: "kill -9 of a shim, the clients fail over", limit: "a shim dies with a call in flight",
			fault: func(_ *testing.T, shims []*shim, _ func() *redistest.Server) { shims[0].Kill() },
		},
		{
			name: "kill -9 of a shim behind a hop that loses the header", balanced: true, limit: "a shim dies with a call in flight",
			fault: func(_ *testing.T, shims []*shim, _ func() *redistest.Server) { shims[0].Kill() },
		},
		{
			name: "kill -9 of Redis", balanced: true, limit: "the shared store is away",
			fault:    func(_ *testing.T, _ []*shim, redis func() *redistest.Server) { redis().Kill() },
			restores: func(redis *redistest.Server) { redis.Run() },
		},
		{
			name: "failover of the primary", sentinel: true, balanced: true, limit: "the shared store is away",
			fault: func(_ *testing.T, _ []*shim, redis func() *redistest.Server) { redis().Kill() },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server, upstream := startStandIn(t, legacy.Options{Mode: legacy.Legacy})
			var (
				one     *redistest.Server
				primary func() *redistest.Server
				config  string
			)
			if c.sentinel {
				set := redistest.StartSentinels(t, 1)
				primary = func() *redistest.Server { p, _ := set.Primary(); return p }
				config = `addresses: ["` + strings.Join(set.Addrs(), `", "`) + `"], timeout: 2s, master_name: ` + set.Name
			} else {
				one = redistest.Start(t)
				primary = func() *redistest.Server { return one }
				config = `timeout: 2s, addresses: ["` + one.Addr + `"]` // more than a busy machine needs
			}
			shims := startReplicas(t, 2, upstream, config)
			addresses := []string{shims[0].Listen, shims[1].Listen}
			if c.balanced {
				addresses = []string{balancer(t, shims)}
			}
			clients := []*javaClient{newClient(t, v510, standInApp, addresses...), newClient(t, v511, standInApp, addresses...)}
			id := clients[0].must(t, 0, "saveJob", job("nightly")).id(t)

			stop := make(chan struct{})
			soFar, wait := loop(stop, clients, id)
			more := func() { // calls go on
				n := soFar() + 50
				await.That(t, "50 more calls", func() bool { return soFar() >= n }, func() string { return "" })
			}
			more()
			from := time.Now()
			if c.fault != nil {
				c.fault(t, shims, primary)
			}
			more()
			if c.restores != nil {
				c.restores(one)
			}
			alive := shims
			if strings.Contains(c.name, "of a shim") {
				alive = shims[1:]
			}
			await.That(t, "the shims say that their store works", func() bool {
				for _, s := range alive {
					if strings.Contains(readyz(t, s), "redis") {
						return false
					}
				}
				return true
			}, func() string { return readyz(t, alive[0]) })
			more() // each tells the others what it decided alone
			to := time.Now()
			more()
			close(stop)
			calls := wait()
			if c.fault == nil {
				to = from
			}
			judgeLoop(t, server, calls, c.limit, from, to)
			if c.balanced && alive[len(alive)-1].decisions(t, "replayed") == 0 {
				t.Error("nothing was replayed: the header was not lost")
			}
		})
	}
}

func readyz(t *testing.T, s *shim) string {
	t.Helper()
	res, err := http.Get("http://" + s.Admin + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
