package shared

import (
	"context"
	"sync"
	"time"

	"powerjob-shim/rules/dedup"
)

// group is one upstream group's log as this replica sees it.
type group struct {
	s    *Store
	name string
	key  string
	wake chan struct{} // has room for one: something is to be sent
	read chan struct{} // closed when the log has been read to its end once

	mu       sync.Mutex // guards all below
	r        *Replica
	lastN    uint64
	queue    []*pending          // not in the log yet, in the order of their numbers
	queued   int                 // bytes in queue
	sent     map[uint64]*pending // in the log by now, and not read from there yet
	waits    map[dedup.ID]chan dedup.Decision
	open     int        // this replica's calls that are not delivered
	over     []dedup.ID // delivered, to be told
	sentAt   time.Time  // the last append
	at       position   // the last entry that was read
	keep     time.Duration
	clock    time.Duration // from this host's time to Redis'
	health   health
	more     bool // than was read is known to be there
	readOnce bool
}

// pending is an event on its way into the log.
type pending struct {
	e       *Event
	data    []byte
	made    time.Time
	applied chan struct{} // closed when it is, to this replica's Machine

	// Once applied:
	decision dedup.Decision
	at       time.Time
}

func (p *pending) isApplied() bool {
	select {
	case <-p.applied:
		return true
	default:
		return false
	}
}

func newGroup(s *Store, name string) *group {
	return &group{
		s: s, name: name, key: s.o.Prefix + "{" + name + "}:log",
		wake: make(chan struct{}, 1), read: make(chan struct{}),
		r: NewReplica(name, s.o.Limits), sent: map[uint64]*pending{}, waits: map[dedup.ID]chan dedup.Decision{},
		keep: time.Minute,
	}
}

// submit has an event appended and waits until it is applied, for at most wait:
// then it is applied at once.
func (g *group) submit(e *Event, wait time.Duration) *pending {
	p := g.post(e)
	if wait > 0 && !p.isApplied() {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-p.applied:
			return p
		case <-timer.C:
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !p.isApplied() {
		g.applyHere(p)
		delete(g.sent, e.N)
	}
	return p
}

// post has an event appended and waits for nothing.
func (g *group) post(e *Event) *pending {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.enqueue(e)
	if g.health.open {
		g.applyHere(p)
		g.shorten()
	} else {
		g.poke()
	}
	return p
}

func (g *group) enqueue(e *Event) *pending {
	g.lastN++
	e.Replica, e.N = g.s.replica, g.lastN
	switch e.kind {
	case arrive:
		g.open++
		g.keep = max(g.keep, e.call.Window+min(e.call.Lease, keepAtMost))
	case issued:
		e.issue.Requested = e.issue.Requested.Add(-g.r.shift)
	}
	p := &pending{e: e, data: e.encode(), made: time.Now(), applied: make(chan struct{})}
	g.queue = append(g.queue, p)
	g.queued += len(p.data)
	return p
}

func (g *group) poke() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// refused notes that a call of this replica is none of the log's.
func (g *group) refused() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open--
}

// delivered notes that a call of this replica is over.
func (g *group) delivered(id dedup.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open--
	g.over = append(g.over, id)
	delete(g.waits, id)
	if len(g.over) >= batchEvents {
		g.poke()
	}
}

// applyHere applies an event to this replica's Machine without the log, at
// Redis' time as far as it is known. It is appended all the same, if it can be.
// What came before it and nobody waits for, goes first.
func (g *group) applyHere(p *pending) {
	for _, q := range g.queue {
		if q.e.N < p.e.N && q.e.unawaited() && !q.isApplied() {
			g.applyOne(q)
		}
	}
	g.applyOne(p)
}

func (g *group) applyOne(p *pending) {
	g.s.o.Failed(operations[p.e.kind])
	g.apply(p.e, time.Now().Add(g.clock), p)
}

// unawaited reports whether nobody waits until e is applied.
func (e *Event) unawaited() bool {
	return e.kind == leave || e.kind == presented || e.kind == delivered
}

// apply applies an event; p is its pending if it is this replica's own.
func (g *group) apply(e *Event, at time.Time, p *pending) {
	d, resumed, fresh := g.r.Apply(at, e)
	if p != nil && fresh {
		p.decision, p.at = d, g.r.now
		if e.kind == arrive && d.Verdict == dedup.Wait {
			g.waits[e.call.ID] = make(chan dedup.Decision, 1)
		}
		close(p.applied)
	}
	g.tell(resumed)
}

// tell hands decisions to those who wait for them here.
func (g *group) tell(resumed []Resumed) {
	for _, r := range resumed {
		if ch := g.waits[r.ID]; ch != nil {
			ch <- r.Decision // has room for the only one
		}
	}
}

func (g *group) await(ctx context.Context, id dedup.ID) (dedup.Decision, error) {
	g.mu.Lock()
	ch := g.waits[id]
	g.mu.Unlock()
	if ch == nil {
		return dedup.Decision{Verdict: dedup.Fail, Outcome: dedup.Lost}, nil
	}
	g.poke() // poll faster from now on
	select {
	case d := <-ch:
		g.mu.Lock()
		delete(g.waits, id)
		g.mu.Unlock()
		return d, nil
	case <-ctx.Done():
		return dedup.Decision{}, ctx.Err()
	}
}

func (g *group) stats() dedup.Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.r.machine.Stats()
}
