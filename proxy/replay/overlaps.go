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

// hangUpNotice is how long a call waits if an equal call of the same caller is in
// flight and that caller still seems to be connected. A client that gives up a call
// closes its connection and sends the call again on another. Both reach this process
// at about the same time, and the second call is known to be a retry only once the
// hang-up has been noticed.
//
// The wait is split into noticeTurns short ones: on a machine that stalls, one long
// wait could end before any other goroutine has run.
const (
	hangUpNotice = 10 * time.Millisecond
	noticeTurns  = 10

	// mostAsked is how many earlier calls are asked, the newest first. It bounds the
	// cost of a call, however many equal ones are in flight.
	mostAsked = 64
)

// overlaps knows the calls in flight under a dedup rule. It does not watch their
// callers: only when a call arrives that may be a retry of an earlier one, it asks
// whether the earlier one's caller has hung up. The zero value is ready to use. Safe
// for concurrent use.
type overlaps struct {
	mu    sync.Mutex
	calls map[overlap]*underway // guarded by mu; the newest call of each overlap
}

// overlap is what a call and its retry by the same caller have in common.
type overlap struct {
	key   dedup.Key
	token access.Token
	addr  netip.Addr // set only for a call without a token
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
	earlier []*underway // equal calls in flight when this one came, the newest first, at most mostAsked
	newer   *underway   // newer and older are guarded by overlaps.mu
	older   *underway

	mu     sync.Mutex
	store  store.Store // is told of a hang-up; nil: the call has not arrived there, or is only passed on
	id     dedup.ID
	over   bool // the caller must not be asked any more
	hungUp bool // the caller had hung up by then
}

// enter adds a call, and notes the equal ones before it. leave must follow.
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

// leave removes a call. Its caller is not asked after that.
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

// awaitHangUp asks the callers of the earlier calls of which u may be a retry. If one
// still seems to be connected, and wait is set, it waits for hangUpNotice and asks
// again: a hang-up that comes through a proxy may arrive late.
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

// askEarlier asks the callers of all earlier calls, and reports whether any of them
// may still want the answer.
func (u *underway) askEarlier() (there bool) {
	for _, e := range u.earlier {
		there = e.ask() || there
	}
	return there
}

// arrive takes the call to the store. From then on its caller can be asked, unless
// the call is only passed on.
func (u *underway) arrive(store store.Store, call dedup.Call) dedup.Ruling {
	u.mu.Lock() // whoever asks meanwhile waits for the decision
	defer u.mu.Unlock()
	d := store.Arrive(call)
	switch d.Verdict {
	case dedup.Lead, dedup.Wait, dedup.Replay:
		u.store, u.id = store, call.ID
	default:
	}
	return d
}

// ask reports whether the caller may still want the answer. If the caller has hung
// up, it tells the store.
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

// settle ends the asking, and reports whether the caller had hung up by then. Call it
// before the answer is written: to close the connection after that is no hang-up, as
// many callers do so once they have their answer.
func (u *underway) settle() (hungUp bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.over {
		u.over, u.hungUp = true, u.caller.Gone()
	}
	return u.hungUp
}

// close ends the asking, without asking the caller once more.
func (u *underway) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.over = true
}
