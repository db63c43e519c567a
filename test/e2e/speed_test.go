package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"powerjob-shim/internal/standin/legacy"
)

// BenchmarkRealClient is what users feel: how many calls a second one real 5.1.0
// client with eight threads gets done, and how long the slowest of a hundred
// takes, on a server that needs 2 ms an answer.
//
//	go test ./test/e2e -run '^$' -bench RealClient -benchtime 5x
//
// One iteration takes all paths in turn; the figures are medians.
func BenchmarkRealClient(b *testing.B) {
	const serverTime = 2 * time.Millisecond
	_, unpatched := startStandIn(b, legacy.Options{Delay: serverTime})
	_, patched := startStandIn(b, legacy.Options{Mode: legacy.Patched, Delay: serverTime})
	benchmarkPaths(b, 8, []way{
		{name: "unpatched", client: newClient(b, v510, standInApp, unpatched)},
		{name: "shim", client: newClient(b, v510, standInApp, quietShim(b, unpatched).Listen)},
		{name: "patched", client: newClient(b, v510, standInApp, patched)},
	})
}

// BenchmarkRealClientOnARealServer does the same on a real 4.3.9 server, which
// has no authApp: something in front of it answers that one, on both paths. The
// client has one thread here: on H2 the server gives jobs that are saved at the
// same moment the same id, and all but one fail (tried).
func BenchmarkRealClientOnARealServer(b *testing.B) {
	app := needRealServer(b).newApp(b)
	server := startAuthStub(b, app)
	benchmarkPaths(b, 1, []way{
		{name: "unpatched", client: newClient(b, v510, app.account, server.address)},
		{name: "shim", client: newClient(b, v510, app.account, quietShim(b, server.address).Listen)},
	})
}

// quietShim is a shim without an access log: who would read it here is the test,
// on the same processors.
func quietShim(b *testing.B, upstream string) *shim {
	b.Helper()
	return runConfigured(b, "127.0.0.1:0", upstream, "log: {access: false}\n")
}

// way is one way from a client to a server.
type way struct {
	name   string
	client *javaClient
	rates  []float64
	nanos  []int64 // of all calls
}

func benchmarkPaths(b *testing.B, threads int, paths []way) {
	const warmUp, calls = 400, 2000
	for i := range paths {
		paths[i].load(b, threads, fmt.Sprint("warm-up-", i), warmUp)
		paths[i].rates, paths[i].nanos = nil, nil
	}
	b.ResetTimer()
	for n := range b.N {
		for i := range paths {
			at := (i + n) % len(paths)
			paths[at].load(b, threads, fmt.Sprintf("job-%d-%d", n, at), calls)
		}
	}
	b.ReportMetric(0, "ns/op") // says nothing
	for _, p := range paths {
		slices.Sort(p.rates)
		slices.Sort(p.nanos)
		b.ReportMetric(p.rates[len(p.rates)/2], "calls/s-"+p.name)
		b.ReportMetric(float64(p.nanos[len(p.nanos)*99/100])/1e6, "p99-ms-"+p.name)
	}
}

// load makes calls on so many threads of the client.
func (p *way) load(b *testing.B, threads int, name string, calls int) {
	b.Helper()
	r := p.client.call(0, "load", threads, calls, job(name))
	var took struct {
		Seconds float64
		Nanos   []int64
	}
	if err := json.Unmarshal(r.Data, &took); err != nil || len(took.Nanos) != calls {
		b.Fatalf("%s: %v", p.name, strings.TrimSpace(r.String()))
	}
	p.rates = append(p.rates, float64(calls)/took.Seconds)
	p.nanos = append(p.nanos, took.Nanos...)
}
