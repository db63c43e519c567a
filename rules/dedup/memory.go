package dedup

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Memory is a store within one process: a Machine behind a lock, which also
// wakes those who wait. Its methods are safe for concurrent use and never
// block but Await.
type Memory struct {
	lastID atomic.Uint64

	mu    sync.Mutex
	m     *Machine             // guarded by mu
	ended map[ID]chan struct{} // guarded by mu; of leaders that somebody waits for
}

// NewMemory returns an empty store.
func NewMemory(limits Limits) *Memory {
	s := &Memory{m: New(limits), ended: map[ID]chan struct{}{}}
	// IDs of different shims must differ where they share a store.
	s.lastID.Store(rand.Uint64() << 24) //nolint:gosec // no secret, only apart from others
	return s
}

// NextID returns an ID for a call that arrives.
func (s *Memory) NextID() ID { return ID(s.lastID.Add(1)) }

// Arrive is Machine.Arrive.
func (s *Memory) Arrive(c Call) Decision {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.m.Arrive(time.Now(), c)
}

// Await blocks until a call that was told to Wait has its decision, or until
// ctx ends; then its error is returned, and the call must Leave.
func (s *Memory) Await(ctx context.Context, id ID) (Decision, error) {
	for {
		d, ended := s.resume(id)
		if d.Verdict != Wait {
			return d, nil
		}
		select {
		case <-ended:
		case <-ctx.Done():
			return Decision{}, ctx.Err()
		}
	}
}

func (s *Memory) resume(id ID) (Decision, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.m.Resume(time.Now(), id)
	if d.Verdict != Wait {
		return d, nil
	}
	ch := s.ended[d.Leader]
	if ch == nil {
		ch = make(chan struct{})
		s.ended[d.Leader] = ch
	}
	return d, ch
}

// Finish is Machine.Finish; it wakes all who wait for this call.
func (s *Memory) Finish(id ID, out Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m.Finish(time.Now(), id, out)
	if ch := s.ended[id]; ch != nil {
		close(ch)
		delete(s.ended, id)
	}
}

// Leave is Machine.Leave.
func (s *Memory) Leave(id ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m.Leave(time.Now(), id)
}

// Delivered is Machine.Delivered.
func (s *Memory) Delivered(id ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m.Delivered(time.Now(), id)
}

// Issued is Machine.Issued.
func (s *Memory) Issued(in Issue) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m.Issued(time.Now(), in)
}

// Presented is Machine.Presented.
func (s *Memory) Presented(token Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m.Presented(time.Now(), token)
}

// Stats returns what the store holds.
func (s *Memory) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.m.Stats()
}
