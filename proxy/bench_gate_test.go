package proxy

import (
	"testing"
	"time"

	"powerjob-shim/rules/access"
	"powerjob-shim/rules/dedup"
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
			p.tokens.Add(dedup.Fingerprint(benchToken), access.Grant{Group: "default", App: "1", Name: "app1", Since: time.Now()})
			benchCalls(b, p, "saveJob", saves())
			if n := p.dedupState.decisions["forwarded"].Load(); n == 0 {
				b.Fatal("nothing was forwarded")
			}
		})
	}
}
