package store

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"powerjob-shim/rules/access"
	"powerjob-shim/rules/dedup"
)

// Memory is the Store within one process: a Machine behind a lock. It also
// wakes the calls that wait. Only Await blocks.
type Memory struct {
	lastID atomic.Uint64

	mu    sync.Mutex
	m     *dedup.Machine             // guarded by mu
	ended map[dedup.ID]chan struct{} // guarded by mu; of leaders that a call waits for, closed at their end
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store.
func NewMemory(limits dedup.Limits) *Memory {
	return &Memory{m: dedup.New(limits), ended: map[dedup.ID]chan struct{}{}}
}

// NextID implements Store.
func (s *Memory) NextID() dedup.ID { return dedup.ID(s.lastID.Add(1)) }

// Arrive implements Store.
func (s *Memory) Arrive(c dedup.Call) dedup.Ruling {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.m.Arrive(time.Now(), c)
}

// Await implements Store.
func (s *Memory) Await(ctx context.Context, id dedup.ID) (dedup.Ruling, error) {
	for {
		d, ended := s.resume(id)
		if d.Verdict != dedup.Wait {
			return d, nil
		}
		select {
		case <-ended:
		case <-ctx.Done():
			return dedup.Ruling{}, ctx.Err()
		}
	}
}

func (s *Memory) resume(id dedup.ID) (dedup.Ruling, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.m.Resume(time.Now(), id)
	if d.Verdict != dedup.Wait {
		return d, nil
	}
	ch := s.ended[d.Leader]
	if ch == nil {
		ch = make(chan struct{})
		s.ended[d.Leader] = ch
	}
	return d, ch
}

// Finish implements Store.
func (s *Memory) Finish(id dedup.ID, out dedup.Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m.Finish(time.Now(), id, out)
	if ch := s.ended[id]; ch != nil {
		close(ch)
		delete(s.ended, id)
	}
}

// Leave implements Store.
func (s *Memory) Leave(id dedup.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m.Leave(time.Now(), id)
}

// Delivered implements Store.
func (s *Memory) Delivered(id dedup.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m.Delivered(time.Now(), id)
}

// Issued implements Store.
func (s *Memory) Issued(in dedup.Issue) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m.Issued(time.Now(), in)
}

// Presented implements Store. It needs no group: tokens differ across all groups.
func (s *Memory) Presented(_ string, token access.Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m.Presented(time.Now(), token)
}

// Undelivered implements Store.
func (s *Memory) Undelivered(group string, token access.Token) { s.Presented(group, token) }

// Now implements Store.
func (s *Memory) Now(string) time.Time { return time.Now() }

// Status implements Store.
func (s *Memory) Status() Status { return Status{Kind: "memory"} }

// Stats implements Store.
func (s *Memory) Stats() dedup.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.m.Stats()
}
