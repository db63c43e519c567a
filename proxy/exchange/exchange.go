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

// Exchange is one request on its way through the chain. It is passed from link to link
// and needs no lock: the chain runs on one goroutine, even if the caller has hung up and
// the call goes on. Make one with New.
type Exchange struct {
	Facts
	Verdicts
	Outcome

	Caller Caller               // can be asked whether it is still there; nil: it cannot
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

// Handler is a link of the chain together with all links after it.
type Handler func(w http.ResponseWriter, r *http.Request, ex *Exchange)

// Verdicts are what the links decide on a request.
type Verdicts struct {
	Gate       access.Verdict // "" unless the gate objected
	GateReason access.Reason

	Decided rules.Decision // "" when no dedup rule matched
	Reason  string

	// Detached says that the call goes on if its caller hangs up after its first byte
	// was sent. If the caller hangs up earlier, it is not sent unless others wait for
	// its answer: see Wanted.
	Detached bool
	Until    time.Time // when the server's whole answer must be here; zero: no limit
	// Waiters reports whether others wait for the call's answer; nil: nobody can.
	Waiters interface{ Waiting() bool }

	Pinned *up.Server // the only server that may get the request; nil: any
	// Readdress adapts the request to the server that gets it; nil: it is not changed.
	Readdress func(out *http.Request, s *up.Server)

	LastOnConn bool // the connection is closed after the answer
}

// Outcome is how a request ended.
type Outcome struct {
	// Reached is how far the request got. If an answer's body is cut off, forward sets
	// it to Unknown and panics with http.ErrAbortHandler.
	Reached    up.Outcome
	Server     *up.Server    // the last one tried; nil: none
	Took       time.Duration // until the server's header, or the failure
	Failure    error         // why forwarding failed; nil: it did not
	Translated string        // the name of the call that was sent instead; "": the call itself was

	// FromUpstream says that the answer being written is an upstream's, or a replay of
	// one. Header rules apply to these only, never to the shim's own errors.
	FromUpstream bool
	// Spelled has the bytes of the head of the upstream's answer; nil: not needed.
	Spelled *bytes.Buffer
	// Denied says that the upstream refused the call: its auth header says false.
	Denied bool
	// HungUp says that the caller hung up, or its body broke off, before the answer was
	// written, even if the whole answer was here. The log and the metrics say 499.
	HungUp bool
	// Unanswered is set if no server carried the request out, and the caller has hung
	// up or is to learn of it by a closed connection.
	Unanswered Unanswered
}

// New makes the exchange of a request under snap, whose answer goes to w. It also
// returns the request for the links. That may be a copy, because net/http must not see
// their changes.
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

// value returns v as a header's values. They are stored at index i of the exchange's
// values, which saves an allocation.
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
