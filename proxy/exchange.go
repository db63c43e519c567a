package proxy

import (
	"bytes"
	"net/http"
	"net/url"
	"time"

	"powerjob-shim/internal/doctor"
	"powerjob-shim/metrics"
	"powerjob-shim/proxy/body"
	"powerjob-shim/proxy/listen"
	up "powerjob-shim/proxy/upstream"
	"powerjob-shim/rules"
	"powerjob-shim/rules/access"
)

// Exchange is one request's way through the chain. It is handed from link to link,
// and has no lock: the chain runs on one goroutine, also when the caller has hung up
// and the call goes on. Make one with newExchange.
type Exchange struct {
	Facts
	Verdicts
	Outcome

	caller Caller               // who is asked whether he is still there; nil: nobody
	in     body.Counted         // the request's body as it comes
	answer answerWriter         // to the caller
	held   bytes.Reader         // see attach
	values [valueFor + 1]string // see value

	// sent is room for a held call's request to a server.
	sent struct {
		request http.Request
		url     url.URL
	}
}

// Handler is a link of the chain, or what is left of the chain from there on.
type Handler func(w http.ResponseWriter, r *http.Request, ex *Exchange)

// Verdicts are what the links decide on a request.
type Verdicts struct {
	gate       access.Verdict // "" unless the gate objected
	gateReason access.Reason

	decided rules.Decision // "" when no dedup rule matched
	reason  string

	// detached: the call goes on when its caller hangs up.
	detached bool
	until    time.Time // when the server's whole answer must be here; zero: no limit
	// waiters knows who else waits for the call's answer; nil: nobody can.
	waiters interface{ Waiting() bool }

	pinned *up.Server // the only one that it may go to; nil: any
	// readdress makes of the request what a server is to get; nil: it gets what came.
	readdress func(out *http.Request, s *up.Server)

	lastOnConn bool // the connection is closed after the answer
}

// Outcome is what becomes of a request.
type Outcome struct {
	// outcome is how far the request got. Where an answer's body is cut off, forward
	// panics with http.ErrAbortHandler, having made it Unknown.
	outcome    up.Outcome
	server     *up.Server    // the last one tried; nil: none
	upstream   time.Duration // until the server's header, or the failure
	failure    error         // why forwarding failed; nil: it did not
	translated string        // the call as which it was sent; "": as it came

	// fromUpstream: the answer being written is an upstream's, or a replay of
	// one. Header rules apply to these only, never to the shim's own errors.
	fromUpstream bool
	// spelled is the head of the upstream's answer as it came; nil: nobody asks.
	spelled *bytes.Buffer
	// denied: the upstream refused the call, its auth header says false.
	denied bool
	// hungUp: the caller went away, or its body broke off, before there was an
	// answer. The log and the metrics say 499.
	hungUp bool
	// unanswered: no server carried it out, and the caller should know by a
	// closed connection, or has hung up itself.
	unanswered unanswered
}

// newExchange makes the exchange of a request that has come under snap, whose answer
// goes to w. The request to go on with is returned: net/http must not see our
// changes to its own.
func newExchange(w http.ResponseWriter, r *http.Request, snap *snapshot, m *metrics.Metrics, version string) (*Exchange, *http.Request) {
	ex := &Exchange{
		Facts:  Facts{snap: snap, id: requestID(r), received: time.Now(), pace: body.Pace(listen.PaceOf(r))},
		caller: callerOf(r),
	}
	ex.findClient(r)
	ex.introduces = len(r.Header[doctor.Header]) > 0
	ex.answer = answerWriter{ResponseWriter: w, ex: ex, metrics: m, version: version}
	if ex.watched() {
		own := *r
		r = &own
	}
	if r.Body != nil && r.Body != http.NoBody {
		ex.in.ReadCloser = r.Body
		r.Body = &ex.in
	}
	return ex, r
}

// value returns v as a header's values, in the room that i names: a slice of
// its own for each would be an allocation.
func (ex *Exchange) value(i int, v string) []string {
	ex.values[i] = v
	return ex.values[i : i+1 : i+1]
}

// The rooms of Exchange.values.
const (
	valueID = iota
	valueHost
	valueFor
)
