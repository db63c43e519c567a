package redislog

import (
	"maps"
	"slices"
	"time"

	"powerjob-shim/internal/ordered"
	"powerjob-shim/rules/dedup"
)

const (
	// heartbeat is how often a replica with calls in flight says that it lives.
	heartbeat = time.Second
	// deadAfter is how long a replica with calls in flight may be silent before
	// its calls count as Lost. Time in which no replica wrote to the log does not
	// count.
	deadAfter = 5 * time.Second
	// forgetAfter is how long a replica may be silent before it is forgotten.
	forgetAfter = 15 * time.Minute
)

// Replica is the state that one replica builds from a log: a Machine, and which replica
// each call in flight belongs to. Like the Machine it has no clock, lock or I/O:
// replicas that apply the same entries take the same decisions. It is not safe
// for concurrent use.
type Replica struct {
	machine *dedup.Machine
	group   string

	now   time.Time     // of the last event
	shift time.Duration // the Machine's time less the log's: see Rebase

	peers   map[uint64]*peer
	leading map[dedup.ID]*peer     // calls that are being forwarded
	waiting map[dedup.ID]*waiters  // by leader
	leases  ordered.List[dedup.ID] // the keys of waiting, by the ends of their leases
}

// peer is a replica as seen in the log.
type peer struct {
	seen    numbers
	spoke   time.Time         // when its last event came
	leading map[dedup.ID]bool // its calls in Replica.leading
}

// waiters are the calls that wait for a leader.
type waiters struct {
	calls []follower
	lease ordered.Key // of the leader, in Replica.leases
}

// follower is a call that waits for a leader.
type follower struct {
	id   dedup.ID
	peer *peer
}

// Resumed is a call that waited, with its decision.
type Resumed struct {
	ID     dedup.ID
	Ruling dedup.Ruling
}

// NewReplica returns the state before the first entry.
func NewReplica(group string, limits dedup.Limits) *Replica {
	return &Replica{
		machine: dedup.New(limits), group: group,
		peers: map[uint64]*peer{}, leading: map[dedup.ID]*peer{}, waiting: map[dedup.ID]*waiters{},
	}
}

// Apply applies an event that the log has at a time. fresh is false for an event that
// was applied before: it was sent again, or shows up late, because the append's answer
// was lost. d is the decision on an arrival. resumed are the decisions on calls
// that waited for a leader which has ended; their shims forward or answer them.
func (r *Replica) Apply(logged time.Time, e *Event) (d dedup.Ruling, resumed []Resumed, fresh bool) {
	p := r.peers[e.Replica]
	if p == nil {
		p = &peer{leading: map[dedup.ID]bool{}}
		r.peers[e.Replica] = p
	}
	if !p.seen.add(e.N) {
		return d, nil, false
	}
	before := r.now
	r.advance(logged)
	p.spoke = r.now
	resumed = r.endSilent(before)

	switch e.kind {
	case tick:
		resumed = append(resumed, r.endLeases()...)
	case arrive:
		call := e.call
		call.Group = r.group
		d = r.machine.Arrive(r.now, call)
		switch d.Verdict {
		case dedup.Lead:
			r.lead(call.ID, p)
		case dedup.Wait:
			r.wait(d.Leader, follower{call.ID, p})
		}
	case finish:
		resumed = append(resumed, r.finish(e.id, e.outcome)...)
	case leave:
		r.machine.Leave(r.now, e.id)
	case delivered:
		for _, id := range e.ids {
			// Its own replica decided otherwise while it could not reach the log.
			if r.leading[id] != nil {
				resumed = append(resumed, r.finish(id, dedup.Outcome{Kind: dedup.Lost})...)
			}
			r.machine.Delivered(r.now, id)
		}
	case issued:
		in := e.issue
		in.Group, in.Requested = r.group, in.Requested.Add(r.shift)
		r.machine.Issued(r.now, in)
	case presented:
		r.machine.Presented(r.now, e.token)
	case alone:
		r.machine.Disown()
	}
	return d, resumed, true
}

// advance moves the time on, never back: a login must be later than the mark
// of the answer that caused it.
func (r *Replica) advance(logged time.Time) {
	t := logged.Add(r.shift)
	if !t.After(r.now) {
		t = r.now.Add(1)
	}
	r.now = t
}

// Rebase takes in that the log begins anew at a time, perhaps of another clock.
// If that is behind, the difference is added from then on: else nothing would
// expire until the clock has caught up.
func (r *Replica) Rebase(logged time.Time) {
	if behind := r.now.Sub(logged.Add(r.shift)); behind > 0 {
		r.shift += behind
	}
}

func (r *Replica) lead(id dedup.ID, p *peer) {
	r.leading[id] = p
	p.leading[id] = true
}

func (r *Replica) wait(leader dedup.ID, f follower) {
	w := r.waiting[leader]
	if w == nil {
		w = &waiters{lease: ordered.Key{At: r.machine.LeaseEnds(leader).UnixNano(), N: uint64(leader)}}
		r.waiting[leader] = w
		r.leases.Add(w.lease, leader)
	}
	w.calls = append(w.calls, f)
}

func (r *Replica) finish(id dedup.ID, out dedup.Outcome) []Resumed {
	r.machine.Finish(r.now, id, out)
	if p := r.leading[id]; p != nil {
		delete(p.leading, id)
		delete(r.leading, id)
	}
	return r.resume(id)
}

// resume returns the decisions on the calls that waited for a leader, which has ended.
func (r *Replica) resume(leader dedup.ID) (resumed []Resumed) {
	w := r.waiting[leader]
	if w == nil {
		return nil
	}
	r.leases.Remove(w.lease)
	delete(r.waiting, leader)
	for _, f := range w.calls {
		d := r.machine.Resume(r.now, f.id)
		switch d.Verdict {
		case dedup.Wait:
			r.wait(d.Leader, f)
			continue
		case dedup.Lead:
			r.lead(f.id, f.peer)
		}
		resumed = append(resumed, Resumed{f.id, d})
	}
	return resumed
}

// endSilent counts the calls of replicas that have died as Lost. A gap in the log does
// not count as silence: perhaps no replica could write.
func (r *Replica) endSilent(before time.Time) []Resumed {
	if gap := r.now.Sub(before); !before.IsZero() && gap > 2*heartbeat {
		for _, p := range r.peers {
			p.spoke = p.spoke.Add(gap)
		}
	}
	var dead []*peer
	for n, p := range r.peers {
		silent := r.now.Sub(p.spoke)
		if silent > deadAfter {
			dead = append(dead, p)
		}
		if silent > forgetAfter && len(p.leading) == 0 {
			delete(r.peers, n)
		}
	}
	return r.end(dead...)
}

// EndOthers counts the calls of all other replicas as Lost: while the log cannot be
// reached, this replica cannot learn how they end.
func (r *Replica) EndOthers(self uint64) []Resumed {
	var others []*peer
	for n, p := range r.peers {
		if n != self {
			others = append(others, p)
		}
	}
	return r.end(others...)
}

// end counts the calls of replicas as Lost, in the order of their IDs.
func (r *Replica) end(which ...*peer) (resumed []Resumed) {
	var calls []dedup.ID
	for _, p := range which {
		calls = slices.AppendSeq(calls, maps.Keys(p.leading))
	}
	slices.Sort(calls)
	for _, id := range calls {
		resumed = append(resumed, r.finish(id, dedup.Outcome{Kind: dedup.Lost})...)
	}
	return resumed
}

// endLeases resumes the calls that wait for a leader whose lease has ended.
func (r *Replica) endLeases() (resumed []Resumed) {
	var ended []dedup.ID
	for r.leases.FirstKey().At <= r.now.UnixNano() {
		ended = append(ended, r.leases.Pop())
	}
	slices.Sort(ended)
	for _, leader := range ended {
		resumed = append(resumed, r.resume(leader)...)
	}
	return resumed
}
