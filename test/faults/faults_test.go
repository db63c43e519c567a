// Package faults breaks the connections between the shim and its servers with
// toxiproxy, in this process, and looks for goroutines and descriptors that are left
// behind. It is a module of its own, so that toxiproxy stays out of the product's
// go.sum.
package faults

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"powerjob-shim/proxy"
	"powerjob-shim/proxy/listen"
	"powerjob-shim/proxy/upstream"
	"powerjob-shim/rules"
)

var count = flag.Int("faults", 300, "requests of which each meets a fault; make faults: 10,000")

const (
	timeout     = 400 * time.Millisecond // until an upstream's answer
	idleTimeout = 50 * time.Millisecond
	callers     = 16
	answer      = `{"success":true,"data":1,"message":null}`
)

// fault is one way of breaking connections, with the statuses that callers may then
// get: for a save, for whose whole answer the shim waits, and for a read, which is
// streamed.
type fault struct {
	name, toxic string // toxic is JSON
	save, read  []int
}

// unanswered means that the connection was closed before the status line. This happens
// to a read whose answer has not begun, and to a save of which nothing was sent.
const unanswered = 0

var faults = []fault{
	{"latency below the timeout", `{"type":"latency","attributes":{"latency":30,"jitter":20}}`, []int{200}, []int{200}},
	{"latency beyond the timeout", `{"type":"latency","attributes":{"latency":2000}}`, []int{504}, []int{unanswered}},
	{"little bandwidth", `{"type":"bandwidth","attributes":{"rate":20}}`, []int{200}, []int{200}},
	{"sliced answers", `{"type":"slicer","attributes":{"average_size":10,"size_variation":5,"delay":100}}`, []int{200}, []int{200}},
	{"reset at once", `{"type":"reset_peer","attributes":{"timeout":0}}`, []int{504, unanswered}, []int{unanswered}},
	{"reset after a while", `{"type":"reset_peer","attributes":{"timeout":20}}`, []int{200, 504, unanswered}, []int{200, unanswered}},
	{"cut in the middle of the answer", `{"type":"limit_data","attributes":{"bytes":130}}`, []int{504}, []int{200}},
	{"cut in the middle of the header", `{"type":"limit_data","attributes":{"bytes":20}}`, []int{504}, []int{unanswered}},
	{"half-open: nothing comes back", `{"type":"timeout","attributes":{"timeout":0}}`, []int{504}, []int{unanswered}},
	{"half-open: nothing arrives", `{"type":"timeout","stream":"upstream","attributes":{"timeout":0}}`, []int{504}, []int{unanswered}},
	{"slow close", `{"type":"slow_close","attributes":{"delay":100}}`, []int{200}, []int{200}},
}

func TestFaultsAreAnsweredAndLeaveNothingBehind(t *testing.T) {
	defer goleak.VerifyNone(t)
	var saves, reads atomic.Int64
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			if strings.HasSuffix(r.URL.Path, "/saveJob") {
				saves.Add(1)
			} else {
				reads.Add(1)
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, answer)
	}))
	defer up.Close()
	toxic := newToxiproxy(t, up.Listener.Addr().String())
	defer toxic.Stop()
	addr, stop := startShim(t, "http://"+toxic.Listen)
	defer stop()

	warm := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	if code, err := post(warm, addr, "saveJob", "warm"); code != 200 || err != nil {
		t.Fatalf("without a fault: %d, %v", code, err)
	}
	before := settled(0, 0)
	each := (*count + len(faults) - 1) / len(faults)
	for _, f := range faults {
		added, err := toxic.Toxics.AddToxicJson(strings.NewReader(f.toxic))
		if err != nil {
			t.Fatal(err)
		}
		saved, read := saves.Load(), reads.Load()
		codes := callAll(t, addr, f, each)
		saved, read = saves.Load()-saved, reads.Load()-read
		// Every second call is a read; a read that was cut off is sent again once.
		if saved > int64(each+1)/2 || read > 2*int64(each/2) {
			t.Errorf("%s: of %d calls %d saves and %d reads arrived at the server", f.name, each, saved, read)
		}
		t.Logf("%-31s %v", f.name, codes)
		if err := toxic.Toxics.RemoveToxic(context.Background(), added.Name); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * idleTimeout) // until connections with the fault are closed
	}
	if code, err := post(warm, addr, "saveJob", "after"); code != 200 || err != nil {
		t.Errorf("after all faults: %d, %v", code, err)
	}
	after := settled(before.goroutines, before.descriptors)
	t.Logf("%d faults; before: %v; after: %v", each*len(faults), before, after)
	if after.goroutines > before.goroutines || after.descriptors > before.descriptors {
		buf := make([]byte, 1<<20)
		t.Errorf("left behind: before %v, after %v\n%s", before, after, buf[:runtime.Stack(buf, true)])
	}
}

// callAll sends n different calls and returns how many there were by call and status.
func callAll(t *testing.T, addr string, f fault, n int) map[string]int {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var mu sync.Mutex
	codes := map[string]int{}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for {
				i := next.Add(1)
				if i > int64(n) {
					return
				}
				call, allowed := "saveJob", f.save
				if i%2 == 0 {
					call, allowed = "fetchAllJob", f.read
				}
				code, err := post(client, addr, call, fmt.Sprint(f.name, i))
				key := fmt.Sprint(call, " ", code)
				switch {
				case !slices.Contains(allowed, code): // a wrong cut would make OkHttp silently send again
					t.Errorf("%s: %s got %d (%v), want one of %v", f.name, call, code, err, allowed)
				case code == unanswered:
				case err != nil:
					key += " cut off"
				}
				mu.Lock()
				codes[key]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return codes
}

// post sends one call and returns its status; 0: there was none. The error is nil if
// the answer was whole.
func post(client *http.Client, addr, call, body string) (int, error) {
	res, err := client.Post("http://"+addr+"/openApi/"+call, "application/json", strings.NewReader(`{"jobName":"`+body+`"}`))
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	got, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode == 200 && string(got) != answer {
		err = errors.New("the answer is another one")
	}
	return res.StatusCode, err
}

func newToxiproxy(t *testing.T, upstream string) *toxiproxy.Proxy {
	t.Helper()
	zerolog.SetGlobalLevel(zerolog.Disabled)
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	p := toxiproxy.NewProxy(server, "server", "127.0.0.1:0", upstream)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

func startShim(t *testing.T, server string) (addr string, stop func()) {
	t.Helper()
	base, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	set, err := rules.Compile([]rules.Rule{
		{Name: "auth-passed", Paths: []string{"/openApi/*"}, Header: &rules.Header{Name: "X-POWERJOB-AUTH-PASSED", Value: "true"}},
		{Name: "save-job", Paths: []string{"/openApi/saveJob"}, Dedup: &rules.Dedup{Match: rules.MatchBody, Window: 200 * time.Millisecond}},
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := proxy.New(proxy.Options{}, proxy.Settings{
		Upstreams: map[string]proxy.Upstream{"default": {Settings: upstream.Settings{Servers: []*url.URL{base}, Timeout: timeout, IdleTimeout: idleTimeout}}},
		Rules:     set,
	})
	if err != nil {
		t.Fatal(err)
	}
	srv, err := p.Listen(proxy.Listeners{Clients: []listen.Listener{{Address: "127.0.0.1:0"}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ctx, context.Background()) }()
	return srv.Addrs()[0].String(), func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// usage is how much a process holds.
type usage struct{ goroutines, descriptors int }

func (u usage) String() string {
	return fmt.Sprintf("%d goroutines, %d descriptors", u.goroutines, u.descriptors)
}

// settled waits until the process holds no more than given, for at most 10 s. With
// zeros it waits until idle connections have ended.
func settled(goroutines, descriptors int) usage {
	if goroutines == 0 {
		time.Sleep(500 * time.Millisecond)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		u := usage{runtime.NumGoroutine(), descriptorCount()}
		if goroutines == 0 || u.goroutines <= goroutines && u.descriptors <= descriptors || time.Now().After(end) {
			return u
		}
	}
}

// descriptorCount returns 0 where there is no /proc.
func descriptorCount() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}
