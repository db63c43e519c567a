package exchange

import (
	"bytes"
	"net/http"
	"net/url"
	"time"

	"powerjob-shim/internal/doctor"
	"powerjob-shim/metrics"
	"powerjob-shim/proxy/body"
	"powerjob-shim/proxy/listen"
	"powerjob-shim/proxy/routing"
	up "powerjob-shim/proxy/upstream"
	"powerjob-shim/rules"
	"powerjob-shim/rules/access"
)

// Exchange is one request's way through the chain. It is handed from link to link,
// and has no lock: the chain runs on one goroutine, also when the caller has hung up
// and the call goes on. Make one with New.
type Exchange struct {
	Facts
	Verdicts
	Outcome

	Caller Caller               // asked whether he is still there; nil: nobody is asked
	In     body.Counted         // the request's body as it comes
	Answer AnswerWriter         // to the caller
	held   heldBody             // see Attach
	values [valueFor + 1]string // see value

	// Sent is room for a held call's request to a server.
	Sent struct {
		Request http.Request
		URL     url.URL
	}
}

// Handler is a link of the chain, or what is left of the chain from there on.
type Handler func(w http.ResponseWriter, r *http.Request, ex *Exchange)

// Verdicts are what the links decide on a request.
type Verdicts struct {
	Gate       access.Verdict // "" unless the gate objected
	GateReason access.Reason

	Decided rules.Decision // "" when no dedup rule matched
	Reason  string

	// Detached: from its first byte on, the call goes on when its caller hangs up.
	// Before that it is not sent, unless others wait for its answer: see Wanted.
	Detached bool
	Until    time.Time // when the server's whole answer must be here; zero: no limit
	// Waiters tells whether others wait for the call's answer; nil: nobody can.
	Waiters interface{ Waiting() bool }

	Pinned *up.Server // the only server that may get the request; nil: any
	// Readdress changes the request into what a server is to get; nil: it gets what came.
	Readdress func(out *http.Request, s *up.Server)

	LastOnConn bool // the connection is closed after the answer
}

// Outcome is what becomes of a request.
type Outcome struct {
	// Reached is how far the request got. Where an answer's body is cut off, forward
	// panics with http.ErrAbortHandler, having made it Unknown.
	Reached    up.Outcome
	Server     *up.Server    // the last one tried; nil: none
	Took       time.Duration // until the server's header, or the failure
	Failure    error         // why forwarding failed; nil: it did not
	Translated string        // the call as which it was sent; "": as it came

	// FromUpstream: the answer being written is an upstream's, or a replay of
	// one. Header rules apply to these only, never to the shim's own errors.
	FromUpstream bool
	// Spelled is the head of the upstream's answer as it came; nil: nobody asks.
	Spelled *bytes.Buffer
	// Denied: the upstream refused the call, its auth header says false.
	Denied bool
	// HungUp: the caller hung up, or its body broke off, before there was an
	// answer, or with the whole answer at hand before it was written. The log and the
	// metrics say 499.
	HungUp bool
	// Unanswered: no server carried it out, and the caller should know by a
	// closed connection, or has hung up itself.
	Unanswered Unanswered
}

// New makes the exchange of a request, under snap, whose answer goes to w. It
// returns the request that the links go on with: net/http must not see what they
// change.
func New(w http.ResponseWriter, r *http.Request, snap *routing.Snapshot, m *metrics.Metrics, version string) (*Exchange, *http.Request) {
	ex := &Exchange{
		Facts:  Facts{Snap: snap, ID: requestID(r), Received: time.Now(), Pace: body.Pace(listen.PaceOf(r))},
		Caller: callerOf(r),
	}
	ex.findClient(r)
	ex.Introduces = len(r.Header[doctor.Header]) > 0
	ex.Answer = AnswerWriter{ResponseWriter: w, ex: ex, metrics: m, version: version}
	if ex.Watched() {
		own := *r
		r = &own
	}
	if r.Body != nil && r.Body != http.NoBody {
		ex.In.ReadCloser = r.Body
		r.Body = &ex.In
	}
	return ex, r
}

// value returns v as a header's values. They lie in the exchange, at i: a new slice
// would be an allocation.
func (ex *Exchange) value(i int, v string) []string {
	ex.values[i] = v
	return ex.values[i : i+1 : i+1]
}

// Indexes of Exchange.values.
const (
	valueID = iota
	valueHost
	valueFor
)
