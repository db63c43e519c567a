package dedup

import (
	"net/netip"
	"time"

	"powerjob-shim/rules/openapi"
)

// Machine is the functional core. Each method is one step: it takes the time,
// which must not run backwards by more than a window, and an event, changes the
// state and returns a decision. It is not safe for concurrent use.
type Machine struct {
	limits Limits
	seq    uint64 // the last generation or arrival given out

	calls     map[ID]*call     // arrivals whose end is not yet known
	histories map[Key]*history // what happened lately to equal calls
	subjects  map[subjectKey]*subject
	logins    map[Token]*login
	apps      map[appKey]*app

	leases   queue // ends of leases, of everything in calls
	expiries queue // ends of windows, of everything remembered
	stats    Stats
}

// New returns an empty machine.
func New(limits Limits) *Machine {
	return &Machine{
		limits:    limits.withDefaults(),
		calls:     map[ID]*call{},
		histories: map[Key]*history{},
		subjects:  map[subjectKey]*subject{},
		logins:    map[Token]*login{},
		apps:      map[appKey]*app{},
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
	id      ID
	arrival uint64 // counts up
	phase   phase
	left    bool // its caller hung up before the answer was written in full
	dedup   bool
	body    bool
	resend  bool // a leader that is a recognised re-send: its answer leaves no mark
	stale   bool // another change touched its subject between its two ends

	unknown bool // what it changes could not be read
	creates bool // it makes something whose id only its answer tells

	history *history
	group   string
	app     string
	token   Token
	addr    netip.Addr
	window  time.Duration
	lease   due // while it is in Machine.calls
	expiry  due // once it is remembered

	mark mark // left by this call's answer

	// Of a leader:
	outcome OutcomeKind // once answered
	answer  *Answer
	watches []watch  // its subjects and their generations
	first   [3]watch // where watches begins: most calls change one thing
	lost    []lost   // callers who were owed this answer and hung up
	orphan  *login   // the open login that this answer remembers

	// Of a call that was taken for a repetition:
	reason     Reason
	leader     *call // whose answer it gets
	spentMark  *mark
	spentLogin *login
	wasLost    lost
}

// recorded reports whether c's answer can be given to others.
func (c *call) recorded() bool { return c.phase == answered && c.outcome == Kept && c.leader == nil }

// mark says: an answer was written to a first send, so that the client may send
// that call once more.
type mark struct {
	set     bool
	spent   bool
	denied  bool // the answer said false: the re-send is a first execution
	at      time.Time
	lineage Token
	owner   *call  // whose answer left it
	app     *app   // in whose lists it is; nil: in none
	spentAt uint64 // the arrival that spent it
	paidBy  Token  // of the login that paid
}

// lost is a caller who hung up before it had its answer.
type lost struct {
	token  Token
	addr   netip.Addr
	resend bool // it was a re-send, so its retry leaves no mark either
}

// history is what is remembered of one key, oldest first.
type history struct {
	key     Key
	open    int     // of the arrivals in Machine.calls, how many are its own
	owes    bool    // some of leaders may have lost callers
	leaders []*call // in flight, or with a kept answer
	unspent []*mark
	spent   []*mark

	// Most keys have one call: leaders and unspent begin here.
	firstLeader [1]*call
	firstMark   [1]*mark
}

func newHistory(key Key) *history {
	h := &history{key: key}
	h.leaders, h.unspent = h.firstLeader[:0], h.firstMark[:0]
	return h
}

type subjectKey struct {
	group string
	openapi.Subject
}

// appKey names an app of a group by its id.
type appKey struct{ group, id string }
