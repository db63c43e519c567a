package dedup

import (
	"fmt"
	"testing"
	"time"
)

// A call that comes when the time of many logins has come ends them all. Where
// each of them cost a look at all the others, 40,000 took seconds under a lock.
func BenchmarkACallThatEndsManyLogins(b *testing.B) {
	for _, logins := range []int{1, 1_000, 100_000} {
		b.Run(fmt.Sprint(logins), func(b *testing.B) {
			for range b.N {
				b.StopTimer()
				m, now := New(Limits{Entries: 1 << 20, Bytes: 1 << 30}), time.Unix(1_700_000_000, 0)
				for i := range logins {
					now = now.Add(time.Microsecond)
					m.Issued(now, Issue{Group: "g", App: appID, Token: Fingerprint(fmt.Sprint(i)), Requested: now, Bare: true, Window: window})
				}
				call := describe(b, "runJob 1", "T")
				b.StartTimer()
				m.Arrive(now.Add(2*window), call)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(logins), "ns/login")
		})
	}
}
