package dedup

import (
	"time"

	"powerjob-shim/internal/ordered"
	"powerjob-shim/internal/slab"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/dedup/archive"
	"powerjob-shim/rules/openapi"
)

// moment is a time as a Machine keeps it: since the first event it was told of.
type moment time.Duration

func (t moment) add(d time.Duration) moment { return t + moment(d) }

// slot numbers what a Machine keeps many of; 0: none.
type slot = slab.Slot

// Machine is the functional core. Each method is one step: it takes the time,
// which must not run backwards by more than a window, and an event, changes the
// state and returns a decision. It is not safe for concurrent use.
type Machine struct {
	limits Limits
	epoch  time.Time // of the first event
	seq    uint64    // the last generation or arrival given out

	calls     map[ID]*call                        // arrivals whose end is not yet known
	histories map[Key]*history                    // what happened lately to equal calls
	packed    map[prefix]slot                     // the same of keys with one call, which is over: see pack.go
	subjects  map[string]map[openapi.Subject]slot // by group
	logins    map[access.Token]*login
	apps      map[appKey]*app
	nobody    *caller // of the last call without a login

	records slab.Slab[record] // of all calls remembered
	live    map[slot]*call    // those of them that are not packed
	answers archive.Answers   // of packed calls, like callers
	callers slab.Pool[*caller]
	things  slab.Slab[subject] // what calls change

	// What ends at some moment, the earliest first.
	leases   ordered.List[*call]  // those of everything in calls
	expiries ordered.List[slot]   // windows of all calls remembered
	unused   ordered.List[*login] // windows of all logins
	opens    ordered.List[*login] // how long the open logins wait for their re-send
	stats    Stats
	looked   int // candidates that searches have looked at
}

// New returns an empty machine.
func New(limits Limits) *Machine {
	return &Machine{
		limits:    limits.WithDefaults(),
		calls:     map[ID]*call{},
		histories: map[Key]*history{},
		packed:    map[prefix]slot{},
		subjects:  map[string]map[openapi.Subject]slot{},
		logins:    map[access.Token]*login{},
		apps:      map[appKey]*app{},
		live:      map[slot]*call{},
	}
}

// Stats returns what the machine holds.
func (m *Machine) Stats() Stats { return m.stats }

// phase is where a call stands.
type phase uint8

const (
	leading  phase = iota // forwarded, not yet finished
	waiting               // for its leader
	answered              // leader or not: it has its answer
	dropped               // forgotten; pointers to it may remain
)

// call is one arrival and what is known of it. What is left of it once it is
// over is packed: see pack.go.
type call struct {
	entry
	mark  mark // left by its answer
	id    ID
	phase phase
	slot  slot // once it is remembered

	creates    bool // it makes something whose id only its answer tells
	everything bool // what it changes could not be read: it may be anything
	unlisted   bool // nobody knows the call: what it may change, it changes at its end

	history *history
	group   string
	app     string
	token   access.Token
	peer    peer
	window  time.Duration
	lease   moment // ends then

	// Of a leader:
	answer    *Answer
	watches   []watch   // its subjects and their generations
	first     [3]watch  // where watches begins: most calls change one thing
	deserters deserters // they were to have this answer
	started   uint64    // counts up with the leaders: where it is among its history's
	orphan    *login    // the open login that this answer remembers

	// Of a call that was taken for a repetition:
	reason     Reason
	leader     *call // whose answer it gets
	spentMark  *mark
	spentLogin *login
}

// recorded reports whether c's answer can be given to others.
func (c *call) recorded() bool { return c.phase == answered && c.outcome == Kept && c.leader == nil }

// mark says: an answer was written to a first send, so that the client may send
// that call once more.
type mark struct {
	stamp
	owner *call   // whose answer left it; nil while that is packed
	by    *caller // whose call it was
	paid  payment // by which it is spent
}

// stamp is what a mark says of itself.
type stamp struct {
	set      bool
	spent    bool
	denied   bool // the answer said false: the re-send is a first execution
	unissued bool // that token was not seen being given out
	passed   bool // the answer went out with true
	at       moment
}

// payment is how a mark was spent.
type payment struct {
	arrival uint64       // of the call that spent it
	token   access.Token // of the login that paid
}

// history is what is remembered of one key.
type history struct {
	key      Key
	open     int                 // of the arrivals in Machine.calls, how many are its own
	deserted bool                // some of leaders may have deserters
	leaders  ordered.List[*call] // in flight, or with a kept answer, in the order in which they were sent
	unspent  ordered.List[slot]  // marks by their time, and their calls' slots
	spent    ordered.List[slot]
}

// appKey names an app of a group by its id.
type appKey struct{ group, id string }
