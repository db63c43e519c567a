package redislog

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"powerjob-shim/internal/redistest"
	"powerjob-shim/internal/store"
	"powerjob-shim/internal/store/storetest"
	"powerjob-shim/rules/dedup"
)

// BenchmarkACall is what the store adds to one forwarded call: arrive, finish,
// delivered. Memory and Redis on loopback, one caller after another and 64 at
// once.
func BenchmarkACall(b *testing.B) {
	server := redistest.Start(b)
	var runs atomic.Int64
	quiet := func(o *Options) {
		o.Logger = zap.NewNop()
		o.Prefix = fmt.Sprint("run", runs.Add(1), ":")
	}
	for _, make := range []struct {
		name string
		open func(b *testing.B) store.Store
	}{
		{"memory", func(*testing.B) store.Store { return store.NewMemory(dedup.Limits{}) }},
		{"redis", func(b *testing.B) store.Store {
			return replicas(b, 1, func() redis.UniversalClient { return client(b, server.Addr) }, quiet)[0]
		}},
	} {
		for _, callers := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/callers=%d", make.name, callers), func(b *testing.B) {
				s := make.open(b)
				benchmark(b, s, callers)
			})
		}
	}
}

func benchmark(b *testing.B, s store.Store, callers int) {
	s.Now("default") // connected
	took := make([]time.Duration, b.N)
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for range callers {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
				c := storetest.Save(s, fmt.Sprint(b.N, " ", i), "T")
				c.Subjects.Known = nil
				began := time.Now()
				s.Arrive(c)
				s.Finish(c.ID, storetest.Success("1"))
				took[i] = time.Since(began)
				s.Delivered(c.ID)
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

func TestAForwardedCallCostsTwoRoundTrips(t *testing.T) {
	server := redistest.Start(t)
	s := replicas(t, 1, func() redis.UniversalClient { return client(t, server.Addr) }, nil)[0].(*Store)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s.Open(ctx, "default")
	before, began := trips(t, server), time.Now()
	const calls = 200
	for i := range calls {
		c := storetest.Save(s, fmt.Sprint(i), "T")
		storetest.Do(t, s, c, storetest.Success("1"))
	}
	// Besides: reads while idle, a heartbeat a second.
	besides := int(time.Since(began)/(idlePoll*3/4)) + 2
	if n := trips(t, server) - before; n > 2*calls+besides {
		t.Errorf("%d round trips for %d calls", n, calls)
	}

	key := s.group("default").key
	used, err := server.Do("MEMORY", "USAGE", key, "SAMPLES", "0")
	if err != nil {
		t.Fatal(err)
	}
	bytes, err := strconv.Atoi(used)
	if err != nil {
		t.Fatal(err)
	}
	if per := bytes / calls; per > 500 {
		t.Errorf("%d bytes in Redis for a call", per)
	} else {
		t.Logf("%d bytes in Redis for a call", per)
	}
	if ttl, err := server.Do("PTTL", key); err != nil || ttl == "-1" {
		t.Errorf("the log stays for ever: %s, %v", ttl, err)
	}
}

var scriptCalls = regexp.MustCompile(`cmdstat_(?:evalsha|eval):calls=(\d+)`)

// trips is how often the script was run.
func trips(t *testing.T, s *redistest.Server) (sum int) {
	t.Helper()
	info, err := s.Do("INFO", "commandstats")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range scriptCalls.FindAllStringSubmatch(info, -1) {
		n, _ := strconv.Atoi(m[1])
		sum += n
	}
	return sum
}
