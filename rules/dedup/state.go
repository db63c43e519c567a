package dedup

import (
	"time"

	"powerjob-shim/internal/ordered"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/dedup/archive"
)

// moment is a time as a Machine keeps it: since the first event it was told of.
type moment time.Duration

func (t moment) add(d time.Duration) moment { return t + moment(d) }

// Machine is the functional core. Each method is one step: it takes the time,
// which must not run backwards by more than a window, and an event, changes the
// state and returns a decision. It is not safe for concurrent use.
type Machine struct {
	limits Limits
	epoch  time.Time // of the first event
	seq    uint64    // the last generation or arrival given out

	calls     map[ID]*call     // arrivals whose end is not yet known
	histories map[Key]*history // what happened lately to equal calls
	logins    map[access.Token]*login
	apps      map[appKey]*app
	nobody    *caller // of the last call without a login

	over   archive.Calls[over, *caller] // calls remembered that histories need not have: see over.go
	things *archive.Things              // what calls change

	// What ends at some moment, the earliest first.
	leases   ordered.List[*call]  // those of everything in calls
	expiries ordered.List[*call]  // windows of the calls remembered, but for those in over
	unused   ordered.List[*login] // windows of all logins
	opens    ordered.List[*login] // how long the open logins wait for their re-send
	stats    Stats
	looked   int // candidates that searches have looked at
}

// New returns an empty machine.
func New(limits Limits) *Machine {
	things := &archive.Things{}
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

// phase is where a call stands.
type phase uint8

const (
	leading  phase = iota // forwarded, not yet finished
	waiting               // for its leader
	answered              // leader or not: it has its answer
	dropped               // forgotten; pointers to it may remain
)

// call is one arrival and what is known of it.
type call struct {
	entry
	key     Key
	arrival uint64 // counts up
	mark    mark   // left by its answer
	id      ID
	phase   phase
	ends    moment // its window, once it is remembered

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
	watches   []archive.Watch  // its subjects and their generations
	first     [3]archive.Watch // where watches begins: most calls change one thing
	deserters deserters        // they were to have this answer
	started   uint64           // counts up with the leaders: where it is among its history's
	orphan    *login           // the open login that this answer remembers

	// Of a call that was taken for a repetition:
	reason     Reason
	leader     *call // whose answer it gets
	spentMark  *mark
	spentLogin *login
}

// entry is what stays of a call for as long as it is remembered.
type entry struct {
	left    bool // its caller hung up before the answer was written in full
	dedup   bool
	body    bool
	resend  bool        // a leader that is a recognised re-send: its answer leaves no mark
	stale   bool        // another change touched its subject between its two ends
	unknown bool        // it changes something that nobody can name
	outcome OutcomeKind // once answered
}

// caller is whose call one was. The calls of one client share it: never change it.
type caller struct {
	group, app string
	token      access.Token
	lineage    access.Token // of the token, when the call was answered
	peer       peer
	in         *app // which lists the call's mark; nil: none does
}

// recorded reports whether c's answer can be given to others.
func (c *call) recorded() bool { return c.phase == answered && c.outcome == Kept && c.leader == nil }

// mark says: an answer was written to a first send, so that the client may send
// that call once more.
type mark struct {
	stamp
	owner *call   // whose answer left it; nil while that is in the archive
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

// history is what is known of one key, but for calls in the archive.
type history struct {
	key      Key
	open     int                 // of the arrivals in Machine.calls, how many are its own
	deserted bool                // some of leaders may have deserters
	leaders  ordered.List[*call] // in flight, or with a kept answer, in the order in which they were sent
	unspent  ordered.List[*mark] // by their time, but for those in the archive
	spent    ordered.List[*mark]
}

// appKey names an app of a group by its id.
type appKey struct{ group, id string }
