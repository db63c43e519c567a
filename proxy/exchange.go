package proxy

import (
	"bytes"
	"context"
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"time"

	"powerjob-shim/proxy/body"
	up "powerjob-shim/proxy/upstream"
	"powerjob-shim/rules"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/dedup"
	"powerjob-shim/rules/openapi"
)

// exchange is one request's way through the chain: what was found out about
// it, and what became of it. It is handed from link to link. It has no lock: the
// chain runs on one goroutine, also when the caller has hung up and the call goes on.
type exchange struct {
	snap     *snapshot // the configuration for the whole of this request
	id       string    // X-Request-Id
	received time.Time // when its header had been read

	pace body.Pace // of its body

	// client is the caller's address after trusted_proxies. clientTrusted
	// tells whether it is a real client's, as far as the configuration tells;
	// it is false where a trusted proxy did not name whom it speaks for.
	client        netip.Addr
	clientTrusted bool
	peerTrusted   bool // the connection comes from a trusted proxy

	caller caller // who is asked whether he is still there; nil: nobody
	// detached: the call goes on when its caller hangs up.
	detached bool
	until    time.Time // when the server's whole answer must be here; zero: no limit

	route string
	group *group
	// target is the request target for the server, byte for byte.
	target string
	path   string        // as a server routes it, context path cut off: "/openApi/saveJob"
	call   *openapi.Call // nil when it is not an OpenAPI call
	match  rules.Matched

	// outside: the path ends as a known call's, and is not under the group's
	// prefix: no rule sees it.
	outside bool

	// ambiguous: path is as it came, because servers may read it differently.
	ambiguous bool

	grant      *access.Grant // see grantOf
	granted    bool
	gate       access.Verdict // "" unless the gate objected
	gateReason access.Reason

	decided rules.Decision // "" when no dedup rule matched
	reason  string

	// body is the request's, where hold could hold it; else unheld, one of the
	// bypass reasons, says why not. Both are empty where no link looks at it.
	body      []byte
	unheld    string
	firstBody bytes.Reader       // see attach
	subject   [1]openapi.Subject // room for what most calls are about

	origin  origin   // see findOrigin
	leads   dedup.ID // the call that it leads; 0: none
	waiters *waiters // where leads is found; nil: nobody can wait for this request

	fingerprint   access.Token // see token
	fingerprinted bool

	translation *translation // nil: the call is sent as it came
	translated  string       // the call as which it was sent; "": as it came
	pinned      *up.Server   // the only one that it may go to; nil: any

	// outcome is how far the request got. Where an answer's body is cut off, forward
	// panics with http.ErrAbortHandler, having made it Unknown.
	outcome  up.Outcome
	server   *up.Server    // the last one tried; nil: none
	upstream time.Duration // until the server's header, or the failure
	failure  error         // why forwarding failed; nil: it did not

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
	// introduces: the caller is doctor, and asks who is on the way.
	introduces bool
	// unanswered: no server carried it out, and the caller should know by a
	// closed connection, or has gone itself.
	unanswered unanswered
	// lastOnConn: the connection is closed after the answer.
	lastOnConn bool

	underway underway // see overlaps

	// sent is room for a held call's request to a server.
	sent struct {
		request http.Request
		url     url.URL
	}

	in     body.Counted
	answer answerWriter
	values [3]string // see value
}

// value returns v as a header's values, in the room that i names: a slice of
// its own for each would be an allocation.
func (ex *exchange) value(i int, v string) []string {
	ex.values[i] = v
	return ex.values[i : i+1 : i+1]
}

// The rooms of exchange.values.
const (
	valueID = iota
	valueHost
	valueFor
)

type exchangeKey struct{}

// exchangeOf returns the exchange that withExchange has put into r: within
// ReverseProxy nothing else goes along with a request.
func exchangeOf(r *http.Request) *exchange {
	return r.Context().Value(exchangeKey{}).(*exchange)
}

// withExchange returns r carrying ex.
func withExchange(r *http.Request, ex *exchange) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), exchangeKey{}, ex))
}

// The request headers of 5.x clients as net/http stores them.
var (
	tokenKey = textproto.CanonicalMIMEHeaderKey(openapi.TokenHeader)
	appIDKey = textproto.CanonicalMIMEHeaderKey(openapi.AppIDHeader)
)

// token returns the fingerprint of the token that r, the exchange's request,
// carries; zero: none.
func (ex *exchange) token(r *http.Request) access.Token {
	if !ex.fingerprinted {
		ex.fingerprint, ex.fingerprinted = access.Fingerprint(first(r.Header[tokenKey])), true
	}
	return ex.fingerprint
}

// first returns the first value of a header, "" without one.
func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// callName is the label for logs and metrics.
func (ex *exchange) callName() string {
	if ex.call == nil {
		return "other"
	}
	return ex.call.Name
}
