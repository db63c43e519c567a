package routing

import (
	"net/netip"
	"time"

	up "powerjob-shim/proxy/upstream"
	"powerjob-shim/rules"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/dedup"
)

// Settings are what a reload may change. The Proxy keeps what it is given:
// callers must not change it afterwards.
type Settings struct {
	Upstreams map[string]Upstream // by name; at least one

	// Routes choose an upstream by host and path, the most specific one
	// whatever its place in the list. Empty: everything goes to the only
	// upstream.
	Routes []Route
	// OneLabelWildcards lets the star of a route's host stand for one label, as
	// in certificates and in Kubernetes' Ingress. False: for one or more.
	OneLabelWildcards bool

	// Observing is the key mode: observe of configs/default.yaml, which says what
	// stays in force. The forwarding headers and the request id are added as ever.
	Observing bool

	Rules          *rules.Set     // nil: no rule matches
	TrustedProxies []netip.Prefix // whose X-Forwarded-For tells the client's address
	Dedup          DedupSettings
	Access         access.Policy // who may call; the zero value: everyone

	// MaxBody bounds the body of every request, in bytes; 413 beyond. 0: no bound.
	MaxBody int64

	// ReadyAll: /readyz needs a ready server in every routed group. False: in at
	// least one routed group.
	ReadyAll bool

	AccessLog bool // one line per request
	Shutdown  Shutdown

	// Hash identifies the configuration for people: /status and the log.
	Hash string
	// Configuration is its text, without secrets, for the status page. "": not shown.
	Configuration string
}

// Upstream is a group of servers that hold the same data.
type Upstream struct {
	up.Settings // the servers, and how they are called

	// AnswerUnreachable answers a machine client with 502, 503 or 504 if nothing of
	// its request was sent to a server, or if a read, a login or a worker's
	// GET /server/... got no answer. False: its connection is closed without an
	// answer, and it goes on to its next address.
	AnswerUnreachable bool

	// RunJob2 says what becomes of a call that servers before 5.1.2 do not have.
	RunJob2 Compat

	// Bridge logs clients in for servers that have no authApp; nil: they have
	// it. With an empty secret, a random one is drawn, and again when a reload
	// changes this group.
	Bridge *access.IssuerSettings

	// Policy is what happens to this group's calls in place of what Settings
	// says. Nil: Settings holds.
	Policy *Policy
}

// Policy is the part of Settings that a group can have for itself.
type Policy struct {
	Rules     *rules.Set // nil: those of Settings
	Access    access.Policy
	Observe   bool // as DedupSettings.Observe
	Observing bool // as Settings.Observing
}

// Route sends requests to an upstream. Name is the metric's and the log's label.
type Route struct {
	Name     string
	Hosts    []string // "a.example", "*.example"; without port. Empty: every host
	Paths    []string // as a server routes them; ending in * a prefix, else exact. Empty: every path
	Upstream string

	// StripPrefix is cut off a request's path, then AddPrefix put in front of it,
	// then the group's ContextPath. Each is whole segments ("/x/y"). A path that
	// is not under StripPrefix keeps its beginning; one that is so in an encoded
	// form only is answered with 400. What a server writes into an answer
	// (Location, cookies) stays as it is. Empty: nothing is done.
	StripPrefix, AddPrefix string

	// ExactSlash makes the slash at the end of an exact path count: /a/ is another
	// path than /a. False: they are the same, as for a server.
	ExactSlash bool
	// Fallback is only for requests that no other route is for.
	Fallback bool
	// Refuse answers all requests with 503 and this text; Upstream does not
	// matter then. Empty: they are served.
	Refuse string
}

// Shutdown says how the Proxy ends.
type Shutdown struct {
	Delay time.Duration // /readyz fails, everything else goes on as before
	Grace time.Duration // then requests in flight may end
}

// DedupSettings are the settings of deduplication. Limits count at the
// start only: a reload leaves the store, and what is in it, as it is.
type DedupSettings struct {
	Observe   bool  // decide and count, but forward everything, whatever the rules say
	MaxBody   int64 // a larger request body is forwarded as it comes, in bytes; 0: 1 MiB
	MaxAnswer int64 // a larger answer is not kept, in bytes; 0: 256 KiB
	Limits    dedup.Limits

	// MaxHeldAnswers bounds the bytes of all answers that are being collected at
	// once; an answer beyond it is streamed, and not kept. 0: 32 MiB.
	MaxHeldAnswers int64
}

// HeldAnswersBound is MaxHeldAnswers or its default.
func (s DedupSettings) HeldAnswersBound() int64 {
	if s.MaxHeldAnswers <= 0 {
		return 32 << 20
	}
	return s.MaxHeldAnswers
}

// BodyBound is MaxBody or its default.
func (s DedupSettings) BodyBound() int64 {
	if s.MaxBody <= 0 {
		return 1 << 20
	}
	return s.MaxBody
}

// AnswerBound is MaxAnswer or its default.
func (s DedupSettings) AnswerBound() int64 {
	if s.MaxAnswer <= 0 {
		return 256 << 10
	}
	return s.MaxAnswer
}

// Compat says what is done for clients that are newer than their server. The
// zero value is the default.
type Compat uint8

const (
	// CompatAuto sends a runJob2 that a server does not have as the form call
	// runJob, which carries the same but for outerKey and extendValue. A call with
	// either keeps its 404.
	CompatAuto Compat = iota
	// CompatOff translates nothing.
	CompatOff
	// CompatLossy translates calls with outerKey or extendValue too; both are lost.
	CompatLossy
)
