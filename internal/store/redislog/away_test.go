package redislog

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"powerjob-shim/internal/store/storetest"
	"powerjob-shim/rules/access"
)

// In virtual time nothing waits for the machine, so what a call waits is what
// the store makes it wait: its budget while nothing comes through, and nothing
// at all once the circuit is open. Tokens are not even looked for then: line has
// no other command than the script.
func TestNobodyWaitsLongForALogThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failed atomic.Int64
		l := &line{a: &adversary{rng: rand.New(rand.NewPCG(1, 7))}, faulty: func() bool { return false }}
		s := New(Options{Client: l, Prefix: "p:", Timeout: budget, Failed: func(string) { failed.Add(1) }})
		defer s.Close()
		s.Open(context.Background(), "default")
		l.a.mu.Lock()
		l.cutUntil = time.Now().Add(time.Hour)
		l.a.mu.Unlock()

		call := func(text string) (waited time.Duration) {
			began := time.Now()
			storetest.Do(t, s, storetest.Save(s, text, "T"), storetest.Success("1"))
			return time.Since(began)
		}
		for i := 0; s.group("default").works(); i++ {
			if waited := call(fmt.Sprint("save ", i)); waited > budget {
				t.Errorf("call %d waited %v", i, waited)
			}
			if i == 10*openAfter {
				t.Fatal("the circuit stays closed")
			}
		}
		for i := range 100 {
			if waited := call(fmt.Sprint("open ", i)); waited > 0 {
				t.Errorf("call %d waited %v although the circuit is open", i, waited)
			}
		}
		began := time.Now()
		if _, ok := s.FindToken("default", access.Fingerprint("T")); ok {
			t.Error("found without Redis")
		}
		s.KeepToken("default", access.Fingerprint("T"), access.KnownToken{App: "1"}, time.Hour)
		if waited := time.Since(began); waited > 0 {
			t.Errorf("tokens waited %v", waited)
		}
		if failed.Load() == 0 {
			t.Error("nothing was counted")
		}
		l.a.mu.Lock()
		l.cutUntil = time.Time{}
		l.a.mu.Unlock()
		time.Sleep(2 * probeEvery)
		if problems := s.Status().Problems; len(problems) > 0 {
			t.Errorf("it does not come back: %q", problems)
		}
	})
}

// breaking is a client that panics, as a fault in it or in the store would.
type breaking struct{ redis.UniversalClient }

// syncs counts how often a log is told to write what waits.
type syncs struct {
	zapcore.Core
	n int
}

func (s *syncs) Sync() error { s.n++; return nil }

func TestWhatLedToAPanicOfTheStoreIsWritten(t *testing.T) {
	core := &syncs{Core: zapcore.NewNopCore()}
	g := newGroup(New(Options{Client: breaking{}, Logger: zap.New(core)}), "default")
	g.poke()
	func() {
		defer func() { _ = recover() }()
		g.run()
	}()
	if core.n != 1 {
		t.Error("the log is not written")
	}
}
