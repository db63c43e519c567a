package shared

import (
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"go.uber.org/zap/zaptest"

	"powerjob-shim/rules/dedup"
	"powerjob-shim/rules/dedup/storetest"
)

// replicas are n Stores on what client returns.
func replicas(t testing.TB, n int, client func() redis.UniversalClient, change func(*Options)) []dedup.Store {
	t.Helper()
	all := make([]dedup.Store, n)
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
	storetest.Run(t, func(t *testing.T, n int) []dedup.Store {
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
