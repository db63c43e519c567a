package redislog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"powerjob-shim/internal/store/storetest"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/dedup"
)

// adversary is a Redis in virtual time that one replica each reaches through a
// line of its own. Lines lag, lose requests, lose answers after the script was
// executed, and are cut; the log is lost now and then.
type adversary struct {
	mu      sync.Mutex
	rng     *rand.Rand
	entries []Entry
	last    Position
}

// line is a replica's way to the adversary. Only what appendTo calls is there.
type line struct {
	redis.UniversalClient
	a        *adversary
	faulty   func() bool // whether faults happen now
	cutUntil time.Time   // guarded by a.mu
}

var errLine = errors.New("connection reset")

// EvalSha implements redis.Scripter for the one script.
func (l *line) EvalSha(ctx context.Context, _ string, _ []string, args ...any) *redis.Cmd {
	cmd := redis.NewCmd(ctx)
	a := l.a
	chance := func(p float64) bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return l.faulty() && a.rng.Float64() < p
	}
	wait := func() error {
		a.mu.Lock()
		lag := time.Duration(100+a.rng.IntN(900)) * time.Microsecond
		if l.faulty() && a.rng.Float64() < 0.01 {
			lag = time.Duration(a.rng.IntN(400)) * time.Millisecond
		}
		if l.faulty() && a.rng.Float64() < 0.001 {
			l.cutUntil = time.Now().Add(time.Duration(a.rng.IntN(3000)) * time.Millisecond)
		}
		if time.Now().Before(l.cutUntil) {
			lag = time.Hour // nothing comes through
		}
		a.mu.Unlock()
		select {
		case <-time.After(lag):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := wait(); err != nil {
		cmd.SetErr(err)
		return cmd
	}
	if chance(0.005) { // never gets there
		cmd.SetErr(errLine)
		return cmd
	}
	reply := a.execute(args, chance(0.001))
	if err := wait(); err != nil {
		cmd.SetErr(err)
		return cmd
	}
	if chance(0.02) { // executed, and nobody learns of it
		cmd.SetErr(errLine)
		return cmd
	}
	cmd.SetVal(reply)
	return cmd
}

// execute is the script.
func (a *adversary) execute(args []any, lose bool) []any {
	a.mu.Lock()
	defer a.mu.Unlock()
	if lose {
		a.entries = a.entries[:a.rng.IntN(len(a.entries)+1)]
	}
	now := uint64(time.Now().UnixMilli())
	after, _ := parsePosition(args[0].(string))
	read := []any{}
	for _, e := range a.entries {
		if e.At.After(after) && len(read) < PageSize {
			read = append(read, []any{e.At.String(), []any{field, string(e.Data)}})
		}
	}
	own := []any{}
	for _, data := range args[4:] {
		if now > a.last.MS {
			a.last = Position{MS: now}
		} else {
			a.last.Seq++
		}
		a.entries = append(a.entries, Entry{a.last, data.([]byte)})
		own = append(own, a.last.String())
	}
	return []any{fmt.Sprint(now), own, read}
}

// history is what one run came to.
type history struct {
	mu               sync.Mutex
	called, executed map[string]int
	longest          time.Duration // that a call waited for stores, in all
}

// play has clients whose header is always lost make calls through replicas
// taken by chance, one thread each.
func play(seed uint64, faults bool) *history {
	h := &history{called: map[string]int{}, executed: map[string]int{}}
	a := &adversary{rng: rand.New(rand.NewPCG(seed, 7))}
	began := time.Now()
	faulty := func() bool { return faults && time.Since(began) > 500*time.Millisecond }
	stores := make([]*Store, 3)
	for i := range stores {
		stores[i] = New(Options{Client: &line{a: a, faulty: faulty}, Prefix: "p:", Timeout: budget})
		stores[i].Open(context.Background(), "default")
	}
	var clients sync.WaitGroup
	for n := range 3 {
		rng := rand.New(rand.NewPCG(seed, uint64(100+n)))
		clients.Go(func() {
			take := func() *Store { return stores[rng.IntN(len(stores))] }
			for i := range 25 {
				body, token := fmt.Sprint("run of ", n, " on ", rng.IntN(3)), fmt.Sprint("token ", n, " ", i)
				h.note(h.called, body)
				h.send(take(), body, token)
				s := take()
				requested := s.Now("default")
				time.Sleep(time.Duration(rng.IntN(5)) * time.Millisecond)
				again := token + " refreshed"
				s.Issued(dedup.Issue{Group: "default", App: "1", Token: access.Fingerprint(again), Requested: requested, Bare: true, Window: window})
				h.send(take(), body, again)
				time.Sleep(time.Duration(rng.IntN(100)) * time.Millisecond)
			}
		})
	}
	clients.Wait()
	for _, s := range stores {
		s.Close()
	}
	return h
}

const window = 5 * time.Second

func (h *history) note(in map[string]int, body string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	in[body]++
}

// send is a request as proxy/replay takes it through the store.
func (h *history) send(s *Store, body, token string) {
	c := storetest.Call(s, body, token)
	c.Window, c.Subjects.Known = window, nil
	began := time.Now()
	d := s.Arrive(c)
	waited := time.Since(began)
	if d.Verdict == dedup.Wait {
		d, _ = s.Await(context.Background(), c.ID)
	}
	if d.Verdict == dedup.Lead {
		time.Sleep(3 * time.Millisecond)
		h.note(h.executed, body)
		began = time.Now()
		s.Finish(c.ID, storetest.Success("1"))
		waited += time.Since(began)
	}
	s.Delivered(c.ID)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.longest = max(h.longest, waited)
}

// TestAnAdversaryBetweenReplicasAndTheirLog counts, over many histories in
// virtual time, what is executed twice and what is dropped.
func TestAnAdversaryBetweenReplicasAndTheirLog(t *testing.T) {
	seeds := uint64(60)
	if testing.Short() {
		seeds = 10
	}
	for _, faults := range []bool{false, true} {
		t.Run(fmt.Sprintf("faults %v", faults), func(t *testing.T) {
			calls, doubled, dropped := 0, 0, 0
			for seed := range seeds {
				synctest.Test(t, func(t *testing.T) {
					h := play(seed, faults)
					for body, n := range h.called {
						calls += n
						doubled += max(0, h.executed[body]-n)
						dropped += max(0, n-h.executed[body])
					}
					if h.longest > budget {
						t.Errorf("seed %d: a call waited %v for the store", seed, h.longest)
					}
				})
			}
			t.Logf("%d calls, %d executed twice, %d dropped", calls, doubled, dropped)
			switch {
			case dropped > 0:
				t.Error("a call was lost")
			case !faults && doubled > 0:
				t.Error("nothing failed, and yet")
			case faults && doubled == 0:
				t.Error("the faults do nothing")
			case doubled > calls/3: // alone, each replica would execute two of three twice
				t.Error("that is hardly better than without a shared store")
			}
		})
	}
}
