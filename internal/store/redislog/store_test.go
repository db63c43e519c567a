package redislog

import (
	"fmt"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"go.uber.org/zap/zaptest"

	"powerjob-shim/internal/store"
	"powerjob-shim/internal/store/storetest"
	"powerjob-shim/rules/dedup"
)

// replicas are n Stores on what client returns.
func replicas(t testing.TB, n int, client func() redis.UniversalClient, change func(*Options)) []store.Store {
	t.Helper()
	all := make([]store.Store, n)
	for i := range all {
		o := Options{Client: client(), Prefix: t.Name() + ":", Timeout: patience, Logger: zaptest.NewLogger(t)}
		if change != nil {
			change(&o)
		}
		s := New(o)
		t.Cleanup(func() {
			s.Close()
			_ = o.Client.Close()
		})
		all[i] = s
	}
	return all
}

func TestMiniredisIsAStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T, n int) []store.Store {
		addr := miniredis.RunT(t).Addr()
		return replicas(t, n, func() redis.UniversalClient { return client(t, addr) }, nil)
	})
}

func TestARefusedCallLeavesNothing(t *testing.T) {
	addr := miniredis.RunT(t).Addr()
	s := replicas(t, 1, func() redis.UniversalClient { return client(t, addr) }, func(o *Options) { o.Limits.InFlight = 1 })[0].(*Store)
	first, second := storetest.Save(s, "one", "T"), storetest.Save(s, "another", "T")
	storetest.Want(t, s.Arrive(first), dedup.Lead, "")
	storetest.Want(t, s.Arrive(second), dedup.Refuse, "")
	s.Finish(first.ID, storetest.Success("1"))
	s.Delivered(first.ID)
	if g := s.group("default"); g.node.open != 0 || len(s.calls) != 0 || len(g.node.waits) != 0 {
		t.Errorf("%d in flight, %d calls, %d waiting", g.node.open, len(s.calls), len(g.node.waits))
	}
}

// However many calls come while too many are in flight, the log does not grow.
func TestRefusedCallsAreNotInTheLog(t *testing.T) {
	r := miniredis.RunT(t)
	s := replicas(t, 1, func() redis.UniversalClient { return client(t, r.Addr()) }, func(o *Options) { o.Limits.InFlight = 1 })[0]
	first := storetest.Save(s, "one", "T")
	storetest.Want(t, s.Arrive(first), dedup.Lead, "")
	log := t.Name() + ":{default}:log"
	before := logLen(t, r, log)
	const calls = 1000
	for range calls {
		storetest.Want(t, s.Arrive(storetest.Save(s, "another", "T")), dedup.Refuse, "")
	}
	if n := logLen(t, r, log) - before; n >= calls/10 { // a heartbeat a second
		t.Errorf("%d refused calls made %d entries", calls, n)
	}
	s.Finish(first.ID, storetest.Success("1"))
	s.Delivered(first.ID)
	second := storetest.Save(s, "another", "T")
	for deadline := time.Now().Add(patience); s.Arrive(second).Verdict == dedup.Refuse; {
		if time.Now().After(deadline) {
			t.Fatal("calls are refused although none is in flight")
		}
		time.Sleep(time.Millisecond)
	}
	s.Finish(second.ID, storetest.Success("2"))
	s.Delivered(second.ID)
}

// The log is bounded by the number of its entries too, not only by their age.
func TestTheLogIsBoundedByItsLength(t *testing.T) {
	r := miniredis.RunT(t)
	s := replicas(t, 1, func() redis.UniversalClient { return client(t, r.Addr()) }, func(o *Options) { o.Limits.Entries = 100 })[0]
	for n := range 500 {
		c := storetest.Save(s, fmt.Sprint("job ", n), "T")
		storetest.Want(t, s.Arrive(c), dedup.Lead, "")
		s.Finish(c.ID, storetest.Success("1"))
		s.Delivered(c.ID)
	}
	if n := logLen(t, r, t.Name()+":{default}:log"); n < 100 || n > 2*entriesOfACall*100 {
		t.Errorf("the log has %d entries for 100 calls that may be remembered", n)
	}
}

func logLen(t *testing.T, r *miniredis.Miniredis, key string) int {
	t.Helper()
	entries, err := r.Stream(key)
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
