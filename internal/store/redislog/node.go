package redislog

import (
	"slices"
	"time"

	"go.uber.org/zap"

	"powerjob-shim/rules/dedup"
)

const (
	// idlePoll is how often others' entries are read while nobody waits for one, so that
	// they are known if Redis goes away.
	idlePoll = 250 * time.Millisecond
	// While a caller waits, another replica's answer is looked for this often.
	waitPollLow, waitPollHigh = 5 * time.Millisecond, 50 * time.Millisecond

	// batchEvents and batchBytes bound what one append sends.
	batchEvents, batchBytes = 256, 1 << 20
	// Events that were applied here while Redis was away are told late: at most lateBytes
	// of them, and none older than lateFor, which is a usual window.
	lateBytes, lateFor = 4 << 20, 5 * time.Second

	// entriesOfACall are its arrival and its end: a log needs this many entries for each
	// call that a Machine remembers.
	entriesOfACall = 2

	// keepAtMost bounds how long a lease may keep entries in Redis: some upstreams
	// have no timeout.
	keepAtMost = 10 * time.Minute
	// patient is the timeout of an append that nobody waits for.
	patient = 2 * time.Second
)

// NodeOptions are what a Node is made of.
type NodeOptions struct {
	Group   string
	Replica uint64        // its name in the log: no other replica may have it or have had it
	Timeout time.Duration // what an append may take while somebody waits for it
	Limits  dedup.Limits

	Logger *zap.Logger
	Failed func(operation string) // called for each event that the log did not take in time
}

// Node is one replica's side of a group's log: what it has to say, what it has
// read, and whether the log works. Like the Machine it has no clock, lock,
// goroutine or I/O: its user tells it the time, asks it for the next append, and tells it
// how that ended. A Store drives one for each group on Redis; the
// simulation in test/sim drives several on a log that an adversary controls. It is
// not safe for concurrent use.
type Node struct {
	o       NodeOptions
	r       *Replica
	lastN   uint64
	queue   []*Pending          // not in the log yet, in the order of their numbers
	queued  int                 // bytes in queue
	applied int                 // at least this many at the front of queue are applied
	batch   []*Pending          // the front of queue, in the append on its way
	sent    map[uint64]*Pending // in the log by now, and not read from there yet; by number
	waits   map[dedup.ID]chan dedup.Ruling
	open    int           // this replica's calls that are not delivered
	over    []dedup.ID    // delivered calls of which the others are still to be told
	sentAt  time.Time     // of the last append
	at      Position      // of the last entry that was read
	keep    time.Duration // see Append.Keep
	clock   time.Duration // the log's time less the time that the Node is told
	health  health
	alone   bool // something was decided that the others cannot know of in time; they are still to be told
	more    bool // the log is known to have more than was read
	caught  bool // the log was read to its end once
}

// Pending is an event on its way into the log.
type Pending struct {
	e       *Event
	data    []byte
	made    time.Time
	applied chan struct{} // closed when it is applied to this replica's Machine

	// Once Applied:
	Ruling dedup.Ruling // of an arrival
	At     time.Time    // the Machine's
}

// Applied reports whether the event has been applied here.
func (p *Pending) Applied() bool {
	select {
	case <-p.applied:
		return true
	default:
		return false
	}
}

// Append is one request to the log: append Events, remove entries that are older than
// Keep or more than Most, and read those after a position.
type Append struct {
	After   Position
	Keep    time.Duration
	Most    int // about this many entries stay
	Timeout time.Duration
	Events  [][]byte
}

// NewNode returns a Node that has read nothing yet.
func NewNode(o NodeOptions) *Node {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Failed == nil {
		o.Failed = func(string) {}
	}
	return &Node{
		o: o, r: NewReplica(o.Group, o.Limits), sent: map[uint64]*Pending{}, waits: map[dedup.ID]chan dedup.Ruling{}, keep: time.Minute,
	}
}

// Post takes in an event of this replica. While the log does not work, the event is
// applied at once; else it goes with the next append.
func (n *Node) Post(now time.Time, e *Event) *Pending {
	if e.kind == arrive && n.r.machine.Full() {
		return n.refuse(now, e)
	}
	p := n.enqueue(now, e)
	if n.health.open {
		n.applyHere(now, p)
		n.shorten(now)
	}
	return p
}

// refuse decides on a call that comes while too many are in flight. Such calls leave
// no entry in the log, however many come.
func (n *Node) refuse(now time.Time, e *Event) *Pending {
	n.open++ // until Refused
	n.tellDelivered(now)
	p := &Pending{e: e, applied: make(chan struct{}), Ruling: dedup.Ruling{Verdict: dedup.Refuse}}
	close(p.applied)
	return p
}

// tellDelivered tells the others which calls are over: then more may be in flight.
func (n *Node) tellDelivered(now time.Time) {
	if len(n.over) > 0 {
		n.enqueue(now, &Event{kind: delivered, ids: n.over})
		n.over = nil
	}
}

func (n *Node) enqueue(now time.Time, e *Event) *Pending {
	n.lastN++
	e.Replica, e.N = n.o.Replica, n.lastN
	switch e.kind {
	case arrive:
		n.open++
		n.keep = max(n.keep, e.call.Window+min(e.call.Lease, keepAtMost))
	case issued:
		e.issue.Requested = e.issue.Requested.Add(-n.r.shift)
	}
	p := &Pending{e: e, data: e.encode(), made: now, applied: make(chan struct{})}
	n.queue = append(n.queue, p)
	n.queued += len(p.data)
	return p
}

// Hurry applies here an event whose time to wait for the log is over. It is still
// appended, if possible.
func (n *Node) Hurry(now time.Time, p *Pending) {
	if !p.Applied() {
		n.applyHere(now, p)
		delete(n.sent, p.e.N)
	}
}

// Refused notes that a call which this replica refused is over.
func (n *Node) Refused() { n.open-- }

// Delivered notes that a call of this replica is over. The others learn of it
// with the next append, which is due at once if it reports true.
func (n *Node) Delivered(id dedup.ID) (due bool) {
	n.open--
	n.over = append(n.over, id)
	delete(n.waits, id)
	return len(n.over) >= batchEvents
}

// Waiting returns the channel on which the decision comes for a call that was told to
// wait; nil for any other call.
func (n *Node) Waiting(id dedup.ID) <-chan dedup.Ruling { return n.waits[id] }

// Resumed forgets a call whose decision has come.
func (n *Node) Resumed(id dedup.ID) { delete(n.waits, id) }

// Works reports whether the circuit is closed: events wait for the log.
func (n *Node) Works() bool { return !n.health.open }

// CaughtUp reports whether the log has been read to its end once.
func (n *Node) CaughtUp() bool { return n.caught }

// Pause returns how long to wait until the next append: something from low to high, so
// that replicas do not act together. If early is set, an event or a call that waits
// may end it.
func (n *Node) Pause() (low, high time.Duration, early bool) {
	switch {
	case n.health.open:
		return probeEvery * 3 / 4, probeEvery * 5 / 4, false
	case len(n.queue) > 0 || n.more:
		return 0, 0, true
	case len(n.waits) > 0:
		return waitPollLow, waitPollHigh, true
	}
	return idlePoll * 3 / 4, idlePoll * 5 / 4, true
}

// Next returns the next append. Succeeded or Failed must be called before the next Next.
func (n *Node) Next(now time.Time) Append {
	n.shorten(now)
	due := now.Sub(n.sentAt) >= heartbeat
	if len(n.over) > 0 && (due || len(n.queue) > 0 || len(n.over) >= batchEvents) {
		n.tellDelivered(now)
	}
	if n.alone {
		// Right behind the events decided alone, in the same append if there is room.
		n.enqueue(now, &Event{kind: alone})
		n.alone = false
	}
	if len(n.queue) == 0 && (due && (n.open > 0 || n.r.machine.Full()) || n.health.open) {
		n.enqueue(now, &Event{kind: tick})
	}
	count, bytes := 0, 0
	for count < len(n.queue) && count < batchEvents && (count == 0 || bytes+len(n.queue[count].data) <= batchBytes) {
		bytes += len(n.queue[count].data)
		count++
	}
	n.batch = slices.Clone(n.queue[:count])

	a := Append{After: n.at, Keep: n.keep, Most: entriesOfACall * n.o.Limits.WithDefaults().Entries, Timeout: n.o.Timeout, Events: make([][]byte, count)}
	for i, p := range n.batch {
		a.Events[i] = p.data
	}
	if n.health.open || !n.caught && count == 0 { // nobody waits: connecting may take longer
		a.Timeout = max(a.Timeout, patient)
	}
	return a
}

// shorten drops events that it is too late to tell.
func (n *Node) shorten(now time.Time) {
	for len(n.queue) > 0 && n.queue[0].Applied() && (n.queued > lateBytes || now.Sub(n.queue[0].made) > lateFor) {
		n.drop()
	}
}

func (n *Node) drop() {
	n.queued -= len(n.queue[0].data)
	n.queue[0] = nil
	n.queue = n.queue[1:]
	n.applied = max(n.applied-1, 0)
}

// Failed applies here the events that could not be appended.
func (n *Node) Failed(now time.Time, err error) {
	if len(n.batch) == 0 {
		n.o.Failed("read")
	}
	for _, p := range n.batch {
		if !p.Applied() {
			n.applyHere(now, p)
		}
	}
	n.batch = nil
	if n.health.failure(err, now) {
		n.o.Logger.Warn("the shared dedup store does not work; this replica deduplicates alone until it does",
			zap.String("group", n.o.Group), zap.Error(err))
	}
	if n.health.open {
		for _, p := range n.queue {
			if !p.Applied() {
				n.applyOne(now, p)
			}
		}
		// This replica will not learn how the others' calls end.
		n.tell(n.r.EndOthers(n.o.Replica))
	}
}

// Succeeded takes in what an append read; took is how long the append took.
func (n *Node) Succeeded(now time.Time, got Page, took time.Duration) {
	n.clock = got.Now.Sub(now)
	if len(n.batch) > 0 {
		n.sentAt = now
		for last := n.batch[len(n.batch)-1].e.N; len(n.queue) > 0 && n.queue[0].e.N <= last; n.drop() {
			if p := n.queue[0]; !p.Applied() && !p.e.unawaited() {
				n.sent[p.e.N] = p
			}
		}
	}
	n.batch = nil
	if took <= n.o.Timeout && n.health.success() {
		n.o.Logger.Info("the shared dedup store works again", zap.String("group", n.o.Group))
	}
	if len(got.Own) > 0 && !got.Own[0].After(n.at) {
		n.o.Logger.Warn("the shared dedup store has lost the end of its log, or all of it; reading it again", zap.String("group", n.o.Group))
		n.r.Rebase(got.Own[0].Time())
		n.alone = true // the others may not have read the lost entries
		n.at, n.more = Position{}, true
		return
	}
	for _, e := range got.Entries {
		n.at = e.At
		n.take(e)
	}
	n.more = got.Full
	n.caught = n.caught || !got.Full
}

// take applies one entry of the log.
func (n *Node) take(in Entry) {
	e, err := decode(in.Data)
	if err != nil {
		n.o.Failed("decode")
		return
	}
	var p *Pending
	if e.Replica == n.o.Replica {
		p = n.sent[e.N]
		delete(n.sent, e.N)
	}
	n.apply(e, in.At.Time(), p)
}

// applyHere applies an event to this replica's Machine without the log, at the
// log's time as far as it is known. Earlier events that nobody waits for go first.
func (n *Node) applyHere(now time.Time, p *Pending) {
	for n.applied < len(n.queue) && n.queue[n.applied].Applied() {
		n.applied++
	}
	for _, q := range n.queue[n.applied:] {
		if q.e.N >= p.e.N {
			break
		}
		if q.e.unawaited() && !q.Applied() {
			n.applyOne(now, q)
		}
	}
	n.applyOne(now, p)
}

func (n *Node) applyOne(now time.Time, p *Pending) {
	n.o.Failed(operations[p.e.kind])
	n.alone = n.alone || p.e.kind == arrive || p.e.kind == issued
	n.apply(p.e, now.Add(n.clock), p)
}

// apply applies an event; p is its Pending if it is this replica's own.
func (n *Node) apply(e *Event, at time.Time, p *Pending) {
	d, resumed, fresh := n.r.Apply(at, e)
	if p != nil && fresh {
		p.Ruling, p.At = d, n.r.now
		if e.kind == arrive && d.Verdict == dedup.Wait {
			n.waits[e.call.ID] = make(chan dedup.Ruling, 1)
		}
		close(p.applied)
	}
	n.tell(resumed)
}

// tell hands decisions to the calls that wait for them here.
func (n *Node) tell(resumed []Resumed) {
	for _, r := range resumed {
		if ch := n.waits[r.ID]; ch != nil {
			ch <- r.Ruling // has room for the only one
		}
	}
}
