package shared

import (
	"maps"
	"slices"
	"time"

	"powerjob-shim/rules/dedup"
)

const (
	// heartbeat is how often a replica with calls in flight says that it lives.
	heartbeat = time.Second
	// deadAfter is how long a replica with calls in flight may say nothing: then
	// its calls count as Lost. It counts while others are heard only.
	deadAfter = 5 * time.Second
	// forgetAfter is when a replica that says nothing is forgotten.
	forgetAfter = 15 * time.Minute
)

// Replica is what one replica makes of a log: a Machine, and which replica each
// call in flight belongs to. Like the Machine it has no clock, lock or I/O:
// replicas that apply the same entries take the same decisions. It is not safe
// for concurrent use.
type Replica struct {
	machine *dedup.Machine
	group   string

	now   time.Time     // of the last event
	shift time.Duration // from the log's time to the Machine's, see Rebase

	peers   map[uint64]*peer
	leading map[dedup.ID]*peer      // calls that are being forwarded
	waiting map[dedup.ID][]follower // by leader
}

// peer is a replica as seen in the log.
type peer struct {
	seen  numbers
	spoke time.Time
}

// follower is a call that waits for a leader.
type follower struct {
	id   dedup.ID
	peer *peer
}

// Resumed is a call that waited, with its decision.
type Resumed struct {
	ID       dedup.ID
	Decision dedup.Decision
}

// NewReplica returns the state before the first entry.
func NewReplica(group string, limits dedup.Limits) *Replica {
	return &Replica{
		machine: dedup.New(limits), group: group,
		peers: map[uint64]*peer{}, leading: map[dedup.ID]*peer{}, waiting: map[dedup.ID][]follower{},
	}
}

// Apply takes an event that stands in the log at a time. It reports false for
// one that was applied before: a claim whose answer was lost, that was sent
// again or shows up late, is recognised. Of an arrival it returns the decision;
// of whatever ended a leader, the decisions of those who waited for it, whose
// shims forward or answer them.
func (r *Replica) Apply(logged time.Time, e *Event) (d dedup.Decision, resumed []Resumed, fresh bool) {
	p := r.peers[e.Replica]
	if p == nil {
		p = &peer{}
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
			r.leading[call.ID] = p
		case dedup.Wait:
			r.waiting[d.Leader] = append(r.waiting[d.Leader], follower{call.ID, p})
		}
	case finish:
		resumed = append(resumed, r.finish(e.id, e.outcome)...)
	case leave:
		r.machine.Leave(r.now, e.id)
	case delivered:
		for _, id := range e.ids {
			// Its own replica decided otherwise, while it could not reach the log.
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

// advance moves the time on. It never goes back: a login is later than the mark
// of the answer that caused it.
func (r *Replica) advance(logged time.Time) {
	t := logged.Add(r.shift)
	if !t.After(r.now) {
		t = r.now.Add(1)
	}
	r.now = t
}

// Rebase takes in that the log begins anew at a time, perhaps of another clock.
// Where that is behind, the difference is added from then on: else nothing would
// expire until it has caught up.
func (r *Replica) Rebase(logged time.Time) {
	if behind := r.now.Sub(logged.Add(r.shift)); behind > 0 {
		r.shift += behind
	}
}

func (r *Replica) finish(id dedup.ID, out dedup.Outcome) []Resumed {
	r.machine.Finish(r.now, id, out)
	delete(r.leading, id)
	return r.resume(id)
}

// resume takes the decisions of those who wait for a leader, if it has ended.
func (r *Replica) resume(leader dedup.ID) (resumed []Resumed) {
	var still []follower
	for _, f := range r.waiting[leader] {
		d := r.machine.Resume(r.now, f.id)
		switch d.Verdict {
		case dedup.Wait:
			still = append(still, f)
			continue
		case dedup.Lead:
			r.leading[f.id] = f.peer
		}
		resumed = append(resumed, Resumed{f.id, d})
	}
	if still == nil {
		delete(r.waiting, leader)
	} else {
		r.waiting[leader] = still
	}
	return resumed
}

// endSilent counts the calls of replicas that have died as Lost. A gap in the
// log tells nothing about anybody: then nobody could write.
func (r *Replica) endSilent(before time.Time) []Resumed {
	if gap := r.now.Sub(before); !before.IsZero() && gap > 2*heartbeat {
		for _, p := range r.peers {
			p.spoke = p.spoke.Add(gap)
		}
	}
	var dead map[*peer]bool
	for n, p := range r.peers {
		switch silent := r.now.Sub(p.spoke); {
		case silent > forgetAfter:
			delete(r.peers, n)
			fallthrough
		case silent > deadAfter:
			if dead == nil {
				dead = map[*peer]bool{}
			}
			dead[p] = true
		}
	}
	if dead == nil || len(r.leading) == 0 {
		return nil
	}
	return r.end(func(p *peer) bool { return dead[p] })
}

// EndOthers counts the calls of all other replicas as Lost: the log cannot be
// reached, and nobody will tell what becomes of them.
func (r *Replica) EndOthers(self uint64) []Resumed {
	return r.end(func(p *peer) bool { return p != r.peers[self] })
}

func (r *Replica) end(which func(*peer) bool) (resumed []Resumed) {
	for _, id := range slices.Sorted(maps.Keys(r.leading)) {
		if p := r.leading[id]; p != nil && which(p) {
			resumed = append(resumed, r.finish(id, dedup.Outcome{Kind: dedup.Lost})...)
		}
	}
	return resumed
}

// endLeases finds those who wait for a leader whose lease has ended.
func (r *Replica) endLeases() (resumed []Resumed) {
	for _, leader := range slices.Sorted(maps.Keys(r.waiting)) {
		resumed = append(resumed, r.resume(leader)...)
	}
	return resumed
}
