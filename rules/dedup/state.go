package dedup

import (
	"time"

	"powerjob-shim/internal/ordered"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/dedup/archive"
	"powerjob-shim/rules/guard"
)

// moment is a time as a Machine keeps it: since the first event it was told of.
type moment time.Duration

func (t moment) add(d time.Duration) moment { return t + moment(d) }

// before is the key that parts everything earlier than a moment from everything else.
func before(t moment) ordered.Key { return ordered.Key{At: int64(t)} }

// Machine is the functional core. Each method is one step: it takes the time,
// which must not run backwards by more than a window, and an event, changes the
// state and returns a decision. It is not safe for concurrent use.
type Machine struct {
	limits Limits
	stats  Stats
	epoch  time.Time // of the first event
	seq    uint64    // the last number given out
	looked int       // candidates that searches have looked at

	calls     map[ID]*call     // arrivals whose end is not yet known
	histories map[Key]*history // what happened lately to equal calls
	logins    map[access.Token]*login
	apps      map[appKey]*app
	nobody    *caller // that of the last call whose token has no record: see callerOf

	over   archive.Calls[over, *caller] // calls that are over, which their histories do not need: see over.go
	things *guard.Things                // what calls change

	// What ends at some moment, the earliest first.
	windows ordered.List[remembered] // those of all calls and logins, but for calls in over
	leases  ordered.List[*call]      // those of everything in calls
	opens   ordered.List[*login]     // how long the open logins wait for their re-send
}

// New returns an empty machine.
func New(limits Limits) *Machine {
	things := &guard.Things{}
	return &Machine{
		limits:    limits.WithDefaults(),
		calls:     map[ID]*call{},
		histories: map[Key]*history{},
		logins:    map[access.Token]*login{},
		apps:      map[appKey]*app{},
		over:      archive.NewPacked[over, *caller](things),
		things:    things,
	}
}

// Stats returns what the machine holds.
func (m *Machine) Stats() Stats { return m.stats }

// next returns a number that was not given out before.
func (m *Machine) next() uint64 {
	m.seq++
	return m.seq
}

// phase is how far a call has come.
type phase uint8

const (
	leading phase = iota // forwarded, not yet finished
	waiting              // for its leader
	ended                // leader or not: its outcome is known, maybe without an answer
	dropped              // forgotten; pointers to it may remain
)

// call is one arrival and what is known of it.
type call struct {
	entry
	mark    mark // left by its answer
	key     Key
	id      ID
	arrival uint64 // counts up
	by      *caller
	history *history
	phase   phase
	change  guard.Change
	window  time.Duration
	lease   moment // ends then
	ends    moment // its window, once it is remembered

	// Of a leader:
	answer    *Answer
	deserters map[deserter][]bool // who hung up before they had its answer; for each of their calls, whether it was a re-send
	started   uint64              // counts up with the leaders: where it is among its history's
	orphan    *login              // of an orphan: its login, open until the other half comes (swap.go)

	// Of a call that was taken for a repetition:
	reason     Reason
	leader     *call // whose answer it gets
	repeats    *call // whose mark it spent
	spentLogin *login
}

// entry is what stays of a call for as long as it is remembered.
type entry struct {
	left    bool // its caller hung up before the answer was written in full
	dedup   bool
	body    bool
	resend  bool        // a leader that is a recognised re-send: its answer leaves no mark
	outcome OutcomeKind // once it has ended
}

// caller says whose a call is. The calls of one client share it: never change it.
type caller struct {
	peer
	group, app string
	token      access.Token
	lineage    access.Token // of the token, when the call was answered
	in         *app         // the app whose lists have the call's mark if it was refused; nil: unknown
}

// recorded reports whether c's answer can be given to others.
func (c *call) recorded() bool { return c.phase == ended && c.outcome == Kept && c.leader == nil }

// history is what is remembered of the calls with one key, except for those in the archive.
type history struct {
	key      Key
	open     int                 // how many of Machine.calls have this key
	deserted bool                // some leader had a deserter
	leaders  ordered.List[*call] // in flight, or with a kept answer, in the order in which they were sent
	unspent  ordered.List[*call] // those with marks, by the marks' time
	spent    ordered.List[*call]
}

// The keys under which lists have a call.

func (c *call) leaderKey() ordered.Key { return ordered.Key{N: c.started} }
func (c *call) markKey() ordered.Key   { return ordered.Key{At: int64(c.mark.at), N: c.arrival} }
func (c *call) endKey() ordered.Key    { return ordered.Key{At: int64(c.ends), N: c.arrival} }
func (c *call) leaseKey() ordered.Key  { return ordered.Key{At: int64(c.lease), N: c.arrival} }
