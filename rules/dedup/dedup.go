// Package dedup is the request-dedup cache: it decides which repeated OpenAPI
// calls get the recorded answer instead of being executed once more.
//
// Its Machine is a deterministic state machine: its decisions depend only on its state, the
// time it is given and the event. Nothing here does any I/O, has a clock, a
// goroutine or a lock, so that a simulation can drive it through years of traffic. Package
// powerjob-shim/internal/store makes its steps atomic, and shows their order.
//
// # How a repetition is known
//
// Machine.decide in machine.go asks four rules, in this order:
//
//   - retry.go: the caller of an earlier equal call hung up before it had its answer. This
//     call carries the same token, or both carry none and come from one trusted address.
//   - evidence.go: The Java client logs in without a token when an answer lacked the
//     header, then sends the call again. If such a login came after the answer to an equal
//     call, this call is that re-send. Each answer and each login count once.
//   - swap.go: two threads of a client changed places, and each call is the other's
//     re-send. An orphan whose other half has not come yet is forwarded at once.
//   - equal.go: by the operator's choice (match: body), equal calls inside the
//     window count as one, as long as no other change touched the same thing (rules/guard).
//
// Whatever the rule, a call gets an answer only if Machine.mayHave allows it.
//
// Words:
//
//   - A mark is a credit: an answer went out whose header may be lost. One re-send may
//     spend it; it ends with the window.
//   - A constructor makes a client object. It logs in without a token, then with the token
//     that it got. Any other login without a token is a refresh, and its re-send follows.
//   - A login pays for a re-send: it is why the client sends that call again.
//   - A token's lineage is its constructor's token, from which its refreshes follow.
//   - An orphan and an overtaken re-send are two halves of one call: see swap.go.
//   - A deserter is a caller that hung up before it had its answer.
//   - A call was refused (denied) if the upstream's header said false to its token.
//     A stranger is the caller of such a call whose token was not seen being issued.
//
// key.go says which calls are equal, peer.go which may be one client's, stranger.go what a
// refused token explains, looks.go how far a search goes. state.go has the calls, login.go
// the tokens, finish.go the end of a call, mark.go its mark, expiry.go the end of its
// window, over.go what becomes of it between the two: it goes to the archive
// (rules/dedup/archive). disown.go forgets all evidence at once.
//
// # Interleavings
//
// These have shaped the rules. The header is lost in all of them; testdata/scenes has a
// scene of each.
//
//  1. One thread: a call, its answer, a login, the call again.
//  2. Two threads. The second one's login overwrites the first one's token, in the field
//     that they share; the first login pays for the second call.
//  3. Two threads with equal calls. One takes the other's answer: swap.go.
//  4. A caller hangs up, and calls again with the same token: it gets that answer, once.
//  5. save A, save B, save A on one job: the second save A is executed. A re-send of the
//     first is not, as that would undo B.
//  6. Two threads, one of which is preempted before it stores its token in that field, so
//     that the older token overwrites the younger: see borrowedLogin.
package dedup

import (
	"cmp"
	"net/netip"
	"time"

	"powerjob-shim/rules/access"
	"powerjob-shim/rules/dedup/archive"
	"powerjob-shim/rules/openapi"
)

// ID names one arrival of a call. It must be unique among all arrivals of all
// shims that share a store, for as long as a lease or window lasts.
type ID uint64

// Call is one arrival of an OpenAPI call other than a login.
type Call struct {
	ID       ID
	Group    string // the upstream group
	Key      Key
	App      string       // the app id header; empty for 4.x clients
	Token    access.Token // zero: none
	Issued   bool         // the token was seen being given out, however long ago
	Addr     netip.Addr   // the client's address; invalid where it cannot be trusted
	Agent    openapi.Agent
	Subjects openapi.Subjects

	// Window is how long the call's answer and marks are remembered after the
	// answer. It must be positive.
	Window time.Duration
	// Lease is how long a leader may take before its call counts as unknown. It
	// must be longer than the upstream's timeout; zero means an hour.
	Lease time.Duration

	Dedup   bool // false: the call only leaves a mark (a read, or a change without a rule)
	Body    bool // match: body, so that an equal call is enough
	Observe bool // decide as usual, but let the call pass
}

// Answer is a recorded answer.
type Answer = archive.Answer

// Verdict tells the caller of Arrive or Resume what to do.
type Verdict uint8

// The verdicts.
const (
	// Lead: forward the call, then Finish it.
	Lead Verdict = iota
	// Wait: an equal call is in flight; Resume when it has ended.
	Wait
	// Replay: write Ruling.Answer, do not forward.
	Replay
	// Pass: forward the call (observe mode: it would have been dropped). Finish ignores it.
	Pass
	// Fail: the leader ended without an answer; Ruling.Outcome says how.
	Fail
	// Refuse: too many calls are in flight to remember this one: forward it
	// without deduplication. The store knows nothing of it.
	Refuse
)

// Reason is why a call was taken for a repetition.
type Reason string

// The reasons, as logs have them.
const (
	First      Reason = ""            // it was not
	Resend     Reason = "resend"      // evidence: a login and a mark
	Overtaken  Reason = "overtaken"   // two threads changed places, and the other half of the call came first: see swap.go
	Retry      Reason = "retry"       // the first caller hung up
	EqualBody  Reason = "equal_body"  // match: body
	AfterFalse Reason = "after_false" // a re-send after the upstream refused the token: a first execution
)

// Ruling is a verdict with its reason.
type Ruling struct {
	Verdict Verdict
	Reason  Reason
	Answer  *Answer     // of Replay
	Outcome OutcomeKind // of Fail
	Leader  ID          // of Wait
	Waited  bool        // the answer was waited for, not found
	// Refreshed says that this call is the first to use the token of a login
	// without a token: that login was a refresh, not a constructor's. It is false
	// for clients other than the Java one: of their logins nobody can say which it was.
	Refreshed bool
}

// OutcomeKind is how a leader's forwarding ended.
type OutcomeKind uint8

// The outcomes.
const (
	Kept     OutcomeKind = iota // a whole answer that may be replayed
	Answered                    // an answer that is not kept: an error, too large, a read
	Denied                      // the upstream refused the token (its header said false)
	NotSent                     // no byte of the call reached an upstream
	Lost                        // sent, but no whole answer: it may have been executed
)

// Outcome is a leader's report.
type Outcome struct {
	Kind OutcomeKind
	// Answer is given to the calls that wait. It is set for Kept, and for Answered where
	// it is small enough; if it is nil, they are forwarded themselves.
	Answer *Answer
	// Status is the HTTP status of Answered. Clients repeat no call that was
	// answered by another status than 200.
	Status int
	// Passed says that the answer goes to the client with the header saying
	// true, whether the upstream or the shim wrote it.
	Passed bool
	// Created are the things that were made, as a Kept answer says.
	Created []openapi.Subject
}

// Limits bound what a store holds. Zero fields take the defaults.
type Limits struct {
	Entries  int   // remembered calls, marks and tokens; default 100,000
	Bytes    int64 // of answers, header and body, with an overhead per entry; default 64 MiB
	InFlight int   // calls in flight; default 10,000
}

// WithDefaults returns l with the defaults in place of its zero fields.
func (l Limits) WithDefaults() Limits {
	return Limits{cmp.Or(max(l.Entries, 0), 100_000), cmp.Or(max(l.Bytes, 0), 64<<20), cmp.Or(max(l.InFlight, 0), 10_000)}
}

// Stats is what a store holds at the moment.
type Stats struct {
	Entries  int
	Bytes    int64
	InFlight int
	// Evicted counts the entries that had to go before their window ended.
	Evicted uint64
}
