package proxy

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"powerjob-shim/proxy/exchange"
	"powerjob-shim/proxy/link/gate"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/openapi"
)

// BenchmarkGate compares what a call of a client that is logged in costs
// without the gate and with it; both go through dedup, as by default.
func BenchmarkGate(b *testing.B) {
	for _, bench := range []struct {
		name string
		mode access.Mode
	}{{"off", access.Off}, {"enforce", access.Enforce}} {
		b.Run(bench.name, func(b *testing.B) {
			p := benchProxy(b, func(s *Settings) {
				deduplicated(s)
				s.Access.Mode = bench.mode
			})
			p.tokens.Add(access.Fingerprint(benchToken), access.Grant{Group: "default", App: "1", Name: "app1", Since: time.Now()})
			benchCalls(b, p, "saveJob", saves())
			if n := p.replay.Decisions()["forwarded"]; n == 0 {
				b.Fatal("nothing was forwarded")
			}
		})
	}
}

// BenchmarkGateAlone is the gate's own share of that, without a server behind:
// the differences above drown in the noise of sockets.
func BenchmarkGateAlone(b *testing.B) {
	p := benchProxy(b, func(s *Settings) { s.Access.Mode = access.Enforce })
	p.tokens.Add(access.Fingerprint(benchToken), access.Grant{Group: "default", App: "1", Name: "app1", Since: time.Now()})
	passed := 0
	guarded := gate.Gate{Metrics: p.metrics, Tokens: p.tokens}.Link(func(http.ResponseWriter, *http.Request, *exchange.Exchange) { passed++ })
	call, _ := openapi.Lookup("saveJob")
	snap := p.snap.Load()
	r := httptest.NewRequest(http.MethodPost, "/openApi/saveJob", nil)
	r.Header = http.Header{openapi.TokenKey: {benchToken}, openapi.AppIDKey: {"1"}, "Content-Type": {"application/json"}}
	b.ReportAllocs()
	for b.Loop() {
		ex := &exchange.Exchange{Facts: exchange.Facts{Snap: snap, Group: snap.Groups["default"], Path: "/openApi/saveJob", Call: call, Received: time.Now(), Body: []byte(benchBody)}}
		guarded(nil, r, ex)
	}
	if passed != b.N {
		b.Fatalf("%d of %d passed", passed, b.N)
	}
}
