package replay

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"powerjob-shim/internal/store"
	"powerjob-shim/proxy/exchange"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/dedup"
)

// hangUpNotice is how long a call waits whose equal is in flight for the same
// caller, where that one seems to be there still. A client that gives a call up
// closes its connection and sends the call again on another: the two reach this
// process together, and the retry is known as one only once the hang-up has been
// noticed.
//
// It is spent in turns: where the machine stalls, one long wait would be over
// before anything else has run.
const (
	hangUpNotice = 10 * time.Millisecond
	noticeTurns  = 10

	// mostAsked is how many earlier calls are asked, the newest first: what a call
	// costs must not grow with how many equal ones are in flight.
	mostAsked = 64
)

// overlaps knows the calls in flight under a dedup rule. Nobody watches their
// callers: when a call comes that may be the retry of another one, the caller of
// that one is asked whether he has hung up. The zero value is ready to use.
type overlaps struct {
	mu    sync.Mutex
	calls map[overlap]*underway // guarded by mu; the newest of each
}

// overlap is what a call and its caller's retry have in common.
type overlap struct {
	key   dedup.Key
	token access.Token
	addr  netip.Addr // of a call without a token
}

func overlapOf(c dedup.Call) overlap {
	o := overlap{key: c.Key, token: c.Token}
	if c.Token == (access.Token{}) {
		o.addr = c.Addr
	}
	return o
}

// underway is a call in flight whose caller can be asked.
type underway struct {
	of      overlap
	caller  exchange.Caller
	earlier []*underway // those in flight when it came, the newest first, at most mostAsked
	newer   *underway   // guarded by overlaps.mu, as older
	older   *underway

	mu     sync.Mutex
	store  store.Store // to be told of a hang-up; nil: the call has not arrived, or is only passed on
	id     dedup.ID
	over   bool // the caller is not asked any more
	hungUp bool // he had hung up before that
}

// enter notes a call. leave must follow.
func (s *overlaps) enter(o overlap, u *underway) {
	u.of = o
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls == nil {
		s.calls = map[overlap]*underway{}
	}
	if u.older = s.calls[o]; u.older != nil {
		u.older.newer = u
	}
	for e := u.older; e != nil && len(u.earlier) < mostAsked; e = e.older {
		u.earlier = append(u.earlier, e)
	}
	s.calls[o] = u
}

// leave forgets a call. Its caller is not asked after that.
func (s *overlaps) leave(u *underway) {
	u.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if u.older != nil {
		u.older.newer = u.newer
	}
	switch {
	case u.newer != nil:
		u.newer.older = u.older
	case u.older != nil:
		s.calls[u.of] = u.older
	default:
		delete(s.calls, u.of)
	}
}

// awaitHangUp asks the callers of the calls that u may be the retry of. Where one
// seems to be there still, and wait is set, the hang-up gets some time to arrive:
// it may come through a proxy.
func (u *underway) awaitHangUp(ctx context.Context, wait bool) {
	if u.askEarlier() && wait {
		for range noticeTurns {
			select {
			case <-time.After(hangUpNotice / noticeTurns):
			case <-ctx.Done():
			}
		}
		u.askEarlier()
	}
	u.earlier = nil
}

// askEarlier reports whether one of them may still want his answer.
func (u *underway) askEarlier() (there bool) {
	for _, e := range u.earlier {
		there = e.ask() || there
	}
	return there
}

// arrive takes the call to the store. From then on its caller can be asked, unless
// the call is only passed on.
func (u *underway) arrive(store store.Store, call dedup.Call) dedup.Ruling {
	u.mu.Lock() // somebody who asks meanwhile waits for the decision
	defer u.mu.Unlock()
	d := store.Arrive(call)
	switch d.Verdict {
	case dedup.Lead, dedup.Wait, dedup.Replay:
		u.store, u.id = store, call.ID
	default:
	}
	return d
}

// ask reports whether the caller may still want his answer. If he has hung up, the
// store learns of it.
func (u *underway) ask() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.over:
		return false
	case u.store == nil || !u.caller.Gone():
		return true
	}
	u.over, u.hungUp = true, true
	u.store.Leave(u.id)
	return false
}

// settle ends the asking, and reports whether the caller had hung up by then. It
// comes before the answer is written: a caller that closes the connection after
// that has not hung up, as many do so when they have their answer.
func (u *underway) settle() (hungUp bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.over {
		u.over, u.hungUp = true, u.caller.Gone()
	}
	return u.hungUp
}

// close ends the asking of a call that is over.
func (u *underway) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.over = true
}
