package sim

import "time"

// episode is a time in which the shared store, or a shim, did not work.
type episode struct {
	what     string
	from, to time.Time
}

// How long before and after an episode it may still cost something. Before it: the time
// of one read while idle, in which entries were read by nobody else. After it: until the
// circuit is closed, and the others have been told what happened, and have read it.
const (
	unread   = 320 * ms
	recovery = 3 * time.Second
	// newsOfHangUp is how long it takes until all shims know that a client has
	// hung up on one of them: an append on its way, one more, and a read.
	newsOfHangUp = 3 * ms
)

// plague makes the store fail once or twice. All these faults fall under one limit of
// docs/promise.md, "the shared store is away".
func (w *world) plague(at time.Duration) {
	for range 1 + w.rng.IntN(2) {
		w.after(at+w.between(0, 4*time.Second), func() {
			lasts := []time.Duration{30 * ms, 300 * ms, time.Second, 6 * time.Second}[w.rng.IntN(4)]
			e := episode{from: w.now, to: w.now.Add(lasts)}
			strike := func(t trouble, shims ...*shim) {
				for _, s := range shims {
					l := &replicaOf(s).line
					l.trouble, l.until = t, e.to
				}
			}
			one := w.shims[w.rng.IntN(len(w.shims))]
			switch w.rng.IntN(7) {
			case 0:
				e.what = "slow store"
				strike(lag, w.shims...)
			case 1:
				e.what = "lost replies"
				strike(mute, w.shims...)
			case 2:
				e.what = "store refuses"
				strike(refusal, w.shims...)
			case 3:
				e.what = "store away"
				strike(silence, w.shims...)
			case 4:
				e.what = "split"
				strike(silence, one)
			case 5:
				e.what = "split, refused"
				strike(refusal, one)
			case 6:
				e.what, e.to = "store lost", w.now
				log := replicaOf(one).log
				log.lose(w.rng.IntN(len(log.entries) + 1))
			}
			w.note("%s for %v", e.what, e.to.Sub(e.from))
			w.result.Faults[e.what]++
			w.episodes = append(w.episodes, e)
		})
	}
}

// judgeStore counts the executions too many that no limit of docs/promise.md
// explains. A call that was executed twice is explained if the store was away or a shim
// died during it, or if its retry came before the news that its client had hung up.
func (w *world) judgeStore() {
	called, executed, twice := map[*operation]int{}, map[*operation]int{}, map[*operation]int{}
	each := map[*logical]int{}
	for _, c := range w.calls {
		called[c.op]++
	}
	for _, c := range w.server.executions {
		executed[c.op]++
		if each[c]++; each[c] > 1 && w.explained(c) {
			twice[c.op]++
		}
	}
	for _, op := range w.ops {
		if n := executed[op] - called[op] - twice[op]; n > 0 {
			w.result.Unexplained += n
			w.note("%s: %d executions too many that nothing explains", op.label, n)
		}
	}
}

func (w *world) explained(c *logical) bool {
	if c.overtakes {
		return true
	}
	for _, e := range w.episodes {
		before, after := unread, recovery
		if e.what == "restart" {
			before, after = 0, 0
		}
		if !c.started.After(e.to.Add(after)) && !c.ended.Before(e.from.Add(-before)) {
			return true
		}
	}
	return false
}

// SharedStore are histories of shims that share a store over a network, behind
// a balancer that chooses any of them for each request.
func SharedStore() []Family {
	store := func(f *Family) {
		f.Shims, f.Shared, f.Network, f.Balanced = 2, true, true, true
		f.Calls, f.Think = [2]int{4, 8}, [2]time.Duration{0, 900 * ms}
	}
	faults := func(f *Family) { f.StoreFaults = true }
	three := func(f *Family) { f.Shims = 3 }
	dies := func(f *Family) { f.RestartRate = 0.8 }
	return []Family{
		dense("shared store", Always, single, store),
		dense("shared store, three shims", Always, single, store, three),
		dense("shared store, header never lost", Never, store, slow, allow(20, 0, 2)),
		dense("shared store, shims die", Always, single, store, dies, allow(40, 0, 1)),
		dense("shared store with faults", Always, single, store, faults, allow(500, 0.5, 6)),
		dense("shared store with faults, three shims", Always, single, store, three, faults, allow(520, 0.5, 6)),
		dense("shared store with faults, header never lost", Never, store, slow, faults, allow(300, 0.5, 25)),
		dense("shared store with faults, shims die", Always, single, store, faults, dies, allow(470, 0.5, 6)),
	}
}

// replicaOf returns a shim's end of the store that shims share.
func replicaOf(s *shim) *replicated {
	r := s.record
	if o, ok := r.(*orderly); ok {
		r = o.record
	}
	return r.(*replicated)
}
