package routing

import (
	"net/netip"
	"time"

	up "powerjob-shim/proxy/upstream"
	"powerjob-shim/rules"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/dedup"
)

// Settings are what a reload may change. The Proxy keeps the maps and slices that it is
// given: callers must not change them afterwards.
type Settings struct {
	Upstreams map[string]Upstream // by name; at least one

	// Routes choose an upstream by host and path. The most specific route applies,
	// wherever it is in the list. Empty: everything goes to the only upstream.
	Routes []Route
	// OneLabelWildcards makes the star of a route's host match exactly one label, as
	// in certificates and in Kubernetes' Ingress. False: one or more labels.
	OneLabelWildcards bool

	// Observing is mode: observe in the configuration. configs/default.yaml says what
	// stays in force then. Forwarding headers and the request id are still added.
	Observing bool

	Rules          *rules.Set     // nil: no rule matches
	TrustedProxies []netip.Prefix // of proxies whose X-Forwarded-For is believed
	Dedup          DedupSettings
	Access         access.Policy // who may call; the zero value: everyone

	// MaxBody is the largest request body, in bytes; a larger one gets 413. 0: no bound.
	MaxBody int64

	// ReadyAll makes /readyz require a ready server in every routed group. False: one
	// routed group with a ready server is enough.
	ReadyAll bool

	AccessLog bool // one line per request
	Shutdown  Shutdown

	// Hash identifies the configuration to people, in /status and in the log.
	Hash string
	// Configuration is the text of the configuration, without secrets, for the status
	// page. "": not shown.
	Configuration string
}

// Upstream is a group of servers that hold the same data.
type Upstream struct {
	up.Settings // the servers, and how they are called

	// AnswerUnreachable answers a machine client with 502, 503 or 504 if nothing of
	// its request was sent to a server, or if a read, a login or a worker's
	// GET /server/... got no answer. False: its connection is closed without an
	// answer, so that the client tries its next address.
	AnswerUnreachable bool

	// RunJob2 says what happens to calls of runJob2, which servers before 5.1.2 do not
	// have.
	RunJob2 Compat

	// Bridge logs clients in on behalf of servers that have no authApp; nil: the
	// servers have it. If its secret is empty, a random one is drawn, and a new one
	// whenever a reload changes this group.
	Bridge *access.IssuerSettings

	// Policy applies to this group's calls, instead of the same fields of Settings.
	// Nil: those of Settings apply.
	Policy *Policy
}

// Policy is the part of Settings that a group can override.
type Policy struct {
	Rules     *rules.Set // nil: those of Settings
	Access    access.Policy
	Observe   bool // like DedupSettings.Observe
	Observing bool // like Settings.Observing
}

// Route sends requests to an upstream. Name is its label in metrics and in the log.
type Route struct {
	Name     string
	Hosts    []string // "a.example", "*.example"; without port. Empty: every host
	Paths    []string // as a server routes them; a prefix if it ends in *, else exact. Empty: every path
	Upstream string

	// StripPrefix is cut off a request's path. Then AddPrefix is put in front of it,
	// and then the group's ContextPath. Each is whole segments ("/x/y"). Nothing is
	// cut off a path that is not under StripPrefix; a path that is under it only in an
	// encoded form is answered with 400. Paths in a server's answer (Location,
	// cookies) are not changed. Empty: nothing is done.
	StripPrefix, AddPrefix string

	// ExactSlash makes the trailing slash of an exact path count: /a/ and /a are
	// different paths. False: they are the same, as for a server.
	ExactSlash bool
	// Fallback makes this a route only for requests that no normal route matches.
	Fallback bool
	// Refuse answers all requests with 503 and this text; Upstream is ignored then.
	// Empty: they are served.
	Refuse string
}

// Shutdown says how long the Proxy takes to stop.
type Shutdown struct {
	Delay time.Duration // how long /readyz fails while everything else goes on as before
	Grace time.Duration // how long requests in flight may take to end after that
}

// DedupSettings are the settings of deduplication. Limits are read only at the start: a
// reload does not change the store or its content.
type DedupSettings struct {
	Observe   bool  // decide and count, but forward everything, whatever the rules say
	MaxBody   int64 // in bytes; a larger request body is streamed, not deduplicated; 0: 1 MiB
	MaxAnswer int64 // in bytes; a larger answer is not kept; 0: 256 KiB
	Limits    dedup.Limits

	// MaxHeldAnswers bounds the total bytes of answers that are being collected at
	// one time. An answer beyond it is streamed, and not kept. 0: 32 MiB.
	MaxHeldAnswers int64
}

// HeldAnswersBound returns MaxHeldAnswers or its default.
func (s DedupSettings) HeldAnswersBound() int64 {
	if s.MaxHeldAnswers <= 0 {
		return 32 << 20
	}
	return s.MaxHeldAnswers
}

// BodyBound returns MaxBody or its default.
func (s DedupSettings) BodyBound() int64 {
	if s.MaxBody <= 0 {
		return 1 << 20
	}
	return s.MaxBody
}

// AnswerBound returns MaxAnswer or its default.
func (s DedupSettings) AnswerBound() int64 {
	if s.MaxAnswer <= 0 {
		return 256 << 10
	}
	return s.MaxAnswer
}

// Compat says how calls of clients that are newer than their server are translated. The
// zero value, CompatAuto, is the default.
type Compat uint8

const (
	// CompatAuto translates runJob2, for a server that lacks it, to the form call
	// runJob. That call carries everything except outerKey and extendValue; a call
	// with either of these keeps its 404.
	CompatAuto Compat = iota
	// CompatOff translates nothing.
	CompatOff
	// CompatLossy also translates calls with outerKey or extendValue, and drops both.
	CompatLossy
)
