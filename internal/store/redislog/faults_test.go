package redislog

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"powerjob-shim/internal/await"
	"powerjob-shim/internal/redistest"
	"powerjob-shim/internal/store"
	"powerjob-shim/internal/store/storetest"
	"powerjob-shim/internal/tcpfaults"
	"powerjob-shim/rules/dedup"
)

// budget is the timeout of a store while it fails. That no call waits longer is
// seen in virtual time (TestNobodyWaitsLongForALogThatIsAway).
const budget = 200 * time.Millisecond

// broken is a store behind a proxy that fails, beside one that does not. Both
// wait for Redis as long as it takes on a busy machine, until hasty.
type broken struct {
	server *redistest.Server
	faults *tcpfaults.Proxy
	store  *Store // through faults
	other  *Store // another replica, to the server itself
	failed atomic.Int64
	logs   *observer.ObservedLogs
}

func newBroken(t *testing.T) *broken {
	t.Helper()
	b := &broken{server: redistest.Start(t)}
	b.faults = tcpfaults.New(t, b.server.Addr)
	core, logs := observer.New(zap.InfoLevel)
	b.logs = logs
	b.store = replicas(t, 1, func() redis.UniversalClient { return client(t, b.faults.Addr) }, func(o *Options) {
		o.Logger, o.Failed = zap.New(core), func(string) { b.failed.Add(1) }
	})[0].(*Store)
	b.other = replicas(t, 1, func() redis.UniversalClient { return client(t, b.server.Addr) }, nil)[0].(*Store)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	b.store.Open(ctx, "default")
	b.other.Open(ctx, "default")
	return b
}

// hasty and patient say how long the store waits for Redis from now on. The
// caller makes no call meanwhile.
func (b *broken) hasty()   { waits(b.store, budget) }
func (b *broken) patient() { waits(b.store, patience) }

func waits(s *Store, timeout time.Duration) {
	g := s.group("default")
	g.mu.Lock()
	defer g.mu.Unlock()
	s.o.Timeout, g.node.o.Timeout = timeout, timeout
}

// goesOn makes calls until the circuit is open and beyond: each is decided as
// one replica alone would.
func (b *broken) goesOn(t *testing.T) {
	t.Helper()
	for i := range 12 {
		text := fmt.Sprintf("%s %d %d", t.Name(), i, time.Now().UnixNano())
		storetest.Do(t, b.store, storetest.Save(b.store, text, "T"), storetest.Success("1"))
		storetest.Want(t, b.store.Arrive(storetest.Save(b.store, text, "T")), dedup.Replay, "1")
	}
	if b.failed.Load() == 0 {
		t.Error("nothing was counted")
	}
	problems := b.store.Status().Problems
	if len(problems) != 1 || !strings.Contains(problems[0], "upstream default") {
		t.Errorf("problems %q", problems)
	}
	if b.store.group("default").works() {
		t.Error("the circuit is not open")
	}
}

// comesBack waits until the circuit is closed, and sees that what is done then
// is known to both.
func (b *broken) comesBack(t *testing.T) {
	t.Helper()
	await.That(t, "the store works again", func() bool { return len(b.store.Status().Problems) == 0 })
	text := t.Name() + " afterwards"
	storetest.Do(t, b.store, storetest.Save(b.store, text, "T"), storetest.Success("5"))
	storetest.Want(t, b.other.Arrive(storetest.Save(b.other, text, "T")), dedup.Replay, "5")
	storetest.Do(t, b.other, storetest.Save(b.other, text+" there", "T"), storetest.Success("6"))
	storetest.Want(t, b.store.Arrive(storetest.Save(b.store, text+" there", "T")), dedup.Replay, "6")
	// Once per change, whatever came between.
	if n := b.logs.FilterMessageSnippet("does not work").Len(); n != 1 {
		t.Errorf("logged %d times that it does not work", n)
	}
	if n := b.logs.FilterMessageSnippet("works again").Len(); n != 1 {
		t.Errorf("logged %d times that it works again", n)
	}
}

func TestCallsGoOnWhateverRedisDoes(t *testing.T) {
	for _, c := range []struct {
		name    string
		on, off func(b *broken)
	}{
		{"slow", func(b *broken) { b.faults.Delay(2 * budget) }, func(b *broken) { b.faults.Delay(0) }},
		{"half-open", func(b *broken) { b.faults.Silent(true) }, func(b *broken) { b.faults.Silent(false) }},
		{"no Redis", func(b *broken) { b.faults.Garbage(true) }, func(b *broken) { b.faults.Garbage(false) }},
		{"gone", func(b *broken) { b.faults.Refuse(true) }, func(b *broken) { b.faults.Refuse(false) }},
		{"full",
			func(b *broken) { mustDo(t, b.server, "CONFIG", "SET", "maxmemory", "1") },
			func(b *broken) { mustDo(t, b.server, "CONFIG", "SET", "maxmemory", "0") }},
		{"read-only",
			func(b *broken) {
				mustDo(t, b.server, "CONFIG", "SET", "replica-serve-stale-data", "yes")
				mustDo(t, b.server, "REPLICAOF", "127.0.0.1", "1")
			},
			func(b *broken) { mustDo(t, b.server, "REPLICAOF", "NO", "ONE") }},
		{"another type",
			func(b *broken) {
				mustDo(t, b.server, "DEL", b.store.group("default").key)
				mustDo(t, b.server, "SET", b.store.group("default").key, "x")
			},
			func(b *broken) { mustDo(t, b.server, "DEL", b.store.group("default").key) }},
		{"killed", func(b *broken) { b.server.Kill() }, func(b *broken) { b.server.Run() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBroken(t)
			storetest.Do(t, b.other, storetest.Save(b.other, "before", "T"), storetest.Success("9"))
			b.store.Now("default")
			c.on(b)
			b.hasty()
			// What another replica did until then is known.
			storetest.Want(t, b.store.Arrive(storetest.Save(b.store, "before", "T")), dedup.Replay, "9")
			b.goesOn(t)
			b.patient()
			c.off(b)
			b.comesBack(t)
		})
	}
}

func mustDo(t *testing.T, s *redistest.Server, args ...any) {
	t.Helper()
	if _, err := s.Do(args...); err != nil {
		t.Fatalf("%v: %v", args, err)
	}
}

func TestAClaimWhoseAnswerWasLostIsRecognised(t *testing.T) {
	b := newBroken(t)
	b.faults.LoseOne()
	c := storetest.Save(b.store, "save", "T")
	storetest.Want(t, b.store.Arrive(c), dedup.Lead, "") // not Wait: for itself
	b.store.Finish(c.ID, storetest.Success("1"))
	b.store.Delivered(c.ID)
	storetest.Want(t, b.other.Arrive(storetest.Save(b.other, "save", "T")), dedup.Replay, "1")
	if entries, err := b.server.Do("XLEN", b.store.group("default").key); err != nil || entries == "0" {
		t.Errorf("%s entries, %v", entries, err)
	}
}

func TestAnAnswerThatCouldNotBeToldIsToldLater(t *testing.T) {
	b := newBroken(t)
	c := storetest.Save(b.store, "save", "T")
	storetest.Want(t, b.store.Arrive(c), dedup.Lead, "")
	w := storetest.Save(b.other, "save", "T")
	storetest.Want(t, b.other.Arrive(w), dedup.Wait, "")
	b.faults.Refuse(true)
	b.store.Finish(c.ID, storetest.Success("1"))
	b.store.Delivered(c.ID)
	time.AfterFunc(budget, func() { b.faults.Refuse(false) })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	d, err := b.other.Await(ctx, w.ID)
	if err != nil {
		t.Fatal(err)
	}
	storetest.Want(t, d, dedup.Replay, "1")
}

func TestWhoWaitsForAnotherReplicaLearnsThatRedisIsGone(t *testing.T) {
	b := newBroken(t)
	c := storetest.Save(b.other, "save", "T")
	storetest.Want(t, b.other.Arrive(c), dedup.Lead, "")
	w := storetest.Save(b.store, "save", "T")
	storetest.Want(t, b.store.Arrive(w), dedup.Wait, "")
	b.hasty()
	b.store.Now("default") // what was begun with more patience is over
	b.faults.Silent(true)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	d, err := b.store.Await(ctx, w.ID)
	if err != nil {
		t.Fatal(err)
	}
	storetest.Want(t, d, dedup.Fail, "")
	if d.Outcome != dedup.Lost {
		t.Errorf("outcome %d", d.Outcome)
	}
	b.faults.Refuse(true) // closing need not wait for an answer
}

func TestADeadReplicasCallIsUnknown(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	all := replicas(t, 2, func() redis.UniversalClient { return client(t, server.Addr) }, nil)
	dead, alive := all[0].(*Store), all[1].(*Store)
	c := storetest.Save(dead, "save", "T")
	storetest.Want(t, dead.Arrive(c), dedup.Lead, "")
	dead.stop() // as kill -9 does: it says nothing any more
	dead.done.Wait()
	w := storetest.Save(alive, "save", "T")
	storetest.Want(t, alive.Arrive(w), dedup.Wait, "")
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	d, err := alive.Await(ctx, w.ID)
	if err != nil {
		t.Fatal(err)
	}
	if storetest.Want(t, d, dedup.Fail, ""); d.Outcome != dedup.Lost {
		t.Errorf("outcome %d", d.Outcome)
	}
	t.Logf("after %v", time.Since(began))
	storetest.Want(t, alive.Arrive(storetest.Save(alive, "save", "T")), dedup.Lead, "") // neither a wedge nor a replay
}

func TestACallThatTakesLongIsNotTakenForADeadReplicas(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	all := replicas(t, 2, func() redis.UniversalClient { return client(t, server.Addr) }, nil)
	c := storetest.Save(all[0], "save", "T")
	storetest.Want(t, all[0].Arrive(c), dedup.Lead, "")
	w := storetest.Save(all[1], "save", "T")
	storetest.Want(t, all[1].Arrive(w), dedup.Wait, "")
	time.AfterFunc(deadAfter+2*heartbeat, func() { all[0].Finish(c.ID, storetest.Success("1")) })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var busy sync.WaitGroup
	defer busy.Wait()
	busy.Go(func() { // the log is alive, whatever the first one says
		for ctx.Err() == nil {
			all[1].Now("default")
			time.Sleep(heartbeat / 2)
		}
	})
	d, err := all[1].Await(ctx, w.ID)
	cancel()
	if err != nil {
		t.Fatal(err)
	}
	storetest.Want(t, d, dedup.Replay, "1")
}

func TestAStartingReplicaKnowsWhatStillMatters(t *testing.T) {
	server := redistest.Start(t)
	connect := func() redis.UniversalClient { return client(t, server.Addr) }
	a := replicas(t, 1, connect, nil)[0]
	save := func(s store.Store, i int) dedup.Call {
		c := storetest.Save(s, fmt.Sprint("save ", i), "T")
		c.Subjects.Known = nil // else one would make the others stale
		return c
	}
	const n = 2 * PageSize // more than a page of entries
	for i := range n {
		storetest.Do(t, a, save(a, i), storetest.Success(fmt.Sprint(i)))
	}
	b := replicas(t, 1, connect, nil)[0]
	storetest.Want(t, b.Arrive(save(b, 0)), dedup.Replay, "0")
	storetest.Want(t, b.Arrive(save(b, n-1)), dedup.Replay, fmt.Sprint(n-1))
}

func TestALogThatIsLostGoesOn(t *testing.T) {
	b := newBroken(t)
	storetest.Do(t, b.store, storetest.Save(b.store, "before", "T"), storetest.Success("1"))
	b.other.Now("default")
	mustDo(t, b.server, "FLUSHALL")
	storetest.Want(t, b.other.Arrive(storetest.Save(b.other, "before", "T")), dedup.Replay, "1")
	storetest.Do(t, b.store, storetest.Save(b.store, "after", "T"), storetest.Success("2"))
	storetest.Want(t, b.other.Arrive(storetest.Save(b.other, "after", "T")), dedup.Replay, "2")
}

func TestAClockThatWasSetBackStopsNothing(t *testing.T) {
	b := newBroken(t)
	storetest.Do(t, b.store, storetest.Save(b.store, "before", "T"), storetest.Success("1"))
	// An entry of an hour ahead, as if Redis' clock had been there.
	hour := time.Now().Add(time.Hour).UnixMilli()
	mustDo(t, b.server, "XADD", b.store.group("default").key, fmt.Sprint(hour, "-0"), field, "x")
	await.That(t, "both have read it", func() bool {
		for _, s := range []*Store{b.store, b.other} {
			g := s.group("default")
			g.mu.Lock()
			at := g.node.at
			g.mu.Unlock()
			if at.MS != uint64(hour) {
				return false
			}
		}
		return true
	})
	storetest.Do(t, b.store, storetest.Save(b.store, "one", "T"), storetest.Success("1"))
	storetest.Want(t, b.other.Arrive(storetest.Save(b.other, "one", "T")), dedup.Replay, "1")
	if n := b.logs.FilterMessageSnippet("lost the end").Len(); n != 1 {
		t.Errorf("logged %d times that the log began anew", n)
	}
	g := b.store.group("default")
	g.mu.Lock()
	defer g.mu.Unlock()
	if at := int64(g.node.at.MS); at >= hour {
		t.Errorf("the log's time still stands at %v", time.UnixMilli(at))
	}
}

func TestEntriesOfOthersAreSkippedAndCounted(t *testing.T) {
	b := newBroken(t)
	key := b.store.group("default").key
	for _, garbage := range [][]any{{field, "x"}, {"f", "x"}, {field, string(rune(version+1)) + "\x01aaaaaaaa\x01"}, {field, ""}, {"a", "b", "c", "d"}} {
		mustDo(t, b.server, append([]any{"XADD", key, "*"}, garbage...)...)
	}
	storetest.Do(t, b.other, storetest.Save(b.other, "save", "T"), storetest.Success("1"))
	storetest.Want(t, b.store.Arrive(storetest.Save(b.store, "save", "T")), dedup.Replay, "1")
	if n := b.failed.Load(); n != 5 {
		t.Errorf("%d counted, want 5", n)
	}
}

func TestASentinelFailoverLosesNothingForLong(t *testing.T) {
	set := redistest.StartSentinels(t, 2)
	all := replicas(t, 2, func() redis.UniversalClient {
		return Connect(Connection{Addresses: set.Addrs(), MasterName: set.Name})
	}, nil)
	a, b := all[0].(*Store), all[1].(*Store)
	storetest.Do(t, a, storetest.Save(a, "before", "T"), storetest.Success("1"))
	b.Now("default")
	waits(a, budget)
	waits(b, budget)
	primary, err := set.Primary()
	if err != nil {
		t.Fatal(err)
	}
	primary.Kill()
	began := time.Now()
	storetest.Want(t, b.Arrive(storetest.Save(b, "before", "T")), dedup.Replay, "1")
	for i := 0; len(a.Status().Problems) > 0 || i < 3; i++ {
		text := fmt.Sprint("meanwhile ", i)
		storetest.Do(t, a, storetest.Save(a, text, "T"), storetest.Success("2"))
		storetest.Want(t, a.Arrive(storetest.Save(a, text, "T")), dedup.Replay, "2")
		time.Sleep(50 * time.Millisecond)
		if time.Since(began) > 30*time.Second {
			t.Fatal("no failover")
		}
	}
	t.Logf("failover after %v", time.Since(began))
	await.That(t, "the other is back too", func() bool { return len(b.Status().Problems) == 0 })
	waits(a, patience)
	waits(b, patience)
	storetest.Do(t, a, storetest.Save(a, "afterwards", "T"), storetest.Success("3"))
	storetest.Want(t, b.Arrive(storetest.Save(b, "afterwards", "T")), dedup.Replay, "3")
}

func TestTenThousandDistinctCallsAreTenThousand(t *testing.T) {
	server := redistest.Start(t)
	all := replicas(t, 4, func() redis.UniversalClient { return client(t, server.Addr) }, nil)
	var leads atomic.Int64
	var wg sync.WaitGroup
	const each = 10_000 / 100
	for worker := range 100 {
		s := all[worker%len(all)]
		wg.Go(func() {
			for i := range each {
				c := storetest.Save(s, fmt.Sprint("save ", worker, " ", i), "T")
				c.Subjects.Known = nil
				if d := s.Arrive(c); d.Verdict == dedup.Lead {
					leads.Add(1)
					s.Finish(c.ID, storetest.Success("1"))
				}
				s.Delivered(c.ID)
			}
		})
	}
	wg.Wait()
	if leads.Load() != 10_000 {
		t.Errorf("%d were forwarded, want 10000", leads.Load())
	}
}
