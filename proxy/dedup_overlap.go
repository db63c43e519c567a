package proxy

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"powerjob-shim/rules/dedup"
)

// hangUpNotice is how long a call waits whose equal is in flight for the same
// caller. A client that gives a call up closes its connection and sends the
// call again on another: the two reach this process together, and the retry is
// known as one only once the hang-up has been noticed.
//
// It is spent in turns: where the machine stalls, one long wait would be over
// before anything else has run.
const (
	hangUpNotice = 10 * time.Millisecond
	noticeTurns  = 10
)

// overlaps knows the calls in flight that only evidence tells from their
// repetition. The zero value is ready to use.
type overlaps struct {
	mu    sync.Mutex
	calls map[overlap]int // guarded by mu
}

// overlap is what a call and its caller's retry have in common.
type overlap struct {
	key   dedup.Key
	token dedup.Token
	addr  netip.Addr // of a call without a token
}

func overlapOf(c dedup.Call) overlap {
	o := overlap{key: c.Key, token: c.Token}
	if c.Token == (dedup.Token{}) {
		o.addr = c.Addr
	}
	return o
}

// enter notes a call, and gives the hang-up that it may be the retry after the
// time to be noticed. leave must follow.
func (s *overlaps) enter(ctx context.Context, o overlap) {
	s.mu.Lock()
	if s.calls == nil {
		s.calls = map[overlap]int{}
	}
	before := s.calls[o]
	s.calls[o] = before + 1
	s.mu.Unlock()
	if before > 0 {
		for range noticeTurns {
			pause(ctx, hangUpNotice/noticeTurns)
		}
	}
}

func (s *overlaps) leave(o overlap) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls[o]--; s.calls[o] == 0 {
		delete(s.calls, o)
	}
}
