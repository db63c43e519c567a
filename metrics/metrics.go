// Package metrics holds every Prometheus collector of powerjob-shim.
//
//	m := metrics.New(registry, openapi.Names())
//	m.Dedup.WithLabelValues(call, string(decision)).Inc()
//
// All collectors are on the Registerer that is passed in; none are at
// package level. Go runtime and process collectors are the program's own
// business, not registered here.
//
// No label is unbounded. "call" takes only a name of the catalogue, or
// [Other], whatever a caller writes: the vectors themselves see to it. "route"
// and "upstream" are names from the configuration, "code" comes from [Code].
//
// Series whose labels are known beforehand exist from the start at 0:
// increase() takes a series' first sample as its base, so a counter that
// appeared together with the first dropped duplicate would hide that one.
//
// Everything here is safe for concurrent use.
package metrics

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"powerjob-shim/rules"
	"powerjob-shim/rules/access"
)

// Namespace is the first part of every name.
const Namespace = "powerjob_shim"

// Other is the value of the label "call" for everything that is not in the catalogue.
const Other = "other"

// Labels of logins_total.
const (
	LoginConstructor = "constructor" // of a client that starts
	LoginRefresh     = "refresh"     // for a call that is sent again
	LoginBridged     = "bridged"     // answered by the shim, for a server without authApp
	LoginOK          = "ok"
	LoginRefused     = "refused"
)

// Label values whose owners are above this package.
var (
	operations = []string{"arrive", "finish", "leave", "delivered", "issued", "presented", "alone", "now", "read", "decode", "keep_token", "find_token"}
	acmeEvents = []string{"obtained", "renewed", "failed"}
)

// buckets are the upper bounds of both histograms, in seconds. They reach from
// a replay out of memory (below a millisecond) to the default upstream timeout
// (30 s). 2 s is one of them because the PowerJob client gives up after 2 s and
// may send the call again.
var buckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2, 5, 10, 30}

// Metrics has the collectors. Make one with [New]. What each counts, and the
// values of its labels, is in docs/metrics.md.
type Metrics struct {
	Requests        *prometheus.CounterVec   // route, call, code: answers to callers
	RequestDuration *prometheus.HistogramVec // route, call: until the answer is written, in seconds

	UpstreamRequests *prometheus.CounterVec   // upstream, call, code: requests sent to servers
	UpstreamDuration *prometheus.HistogramVec // upstream: until the server's header, in seconds

	Dedup         *prometheus.CounterVec // call, decision: calls under a dedup rule
	DedupBypassed *prometheus.CounterVec // reason: calls under a dedup rule that it could not be applied to

	Header      *prometheus.CounterVec // action: what a header rule with a value did to an upstream's answer
	Logins      *prometheus.CounterVec // kind, result
	Gate        *prometheus.CounterVec // decision, reason: what the gate made of calls
	Resends     *prometheus.CounterVec // call: re-sends recognised, each one an answer whose header was lost
	Translated  *prometheus.CounterVec // call: calls that the server got as another call, which it knows
	Outside     *prometheus.CounterVec // call: known calls outside openapi_prefix
	HeaderLost  *prometheus.CounterVec // call: re-sends of clients that made several within a minute
	Unanswered  *prometheus.CounterVec // route, reason: requests that were left without an answer
	Unasked     *prometheus.CounterVec // upstream: connections with bytes that nobody asked for
	StoreErrors *prometheus.CounterVec // operation: failures of the dedup store, none of which fails a call

	Observing prometheus.Gauge // 1: mode observe, nothing on the wire is changed; 0: enforce

	ACMEEvents *prometheus.CounterVec // event: outcomes of attempts to obtain a certificate

	ReloadSuccessful prometheus.Gauge // 1: the last attempt to load the configuration succeeded; 0: it failed
	ReloadTime       prometheus.Gauge // Unix time of the last success, in seconds

	answered, asked cache[labels, series]
	decided         cache[decision, prometheus.Counter]
	headers         cache[rules.HeaderAction, prometheus.Counter]
	lastExemplar    atomic.Int64 // Unix time in milliseconds

	buildInfo *prometheus.GaugeVec
	store     atomic.Pointer[func() StoreStats]
	upstreams *upstreamCollector
	expiries  atomic.Pointer[func() []Expiry]
	log       atomic.Pointer[func() uint64]
}

// StoreStats is what the dedup store holds at one moment. It has the fields of
// dedup.Stats, so that one converts to the other.
type StoreStats struct {
	Entries  int    // calls and logins on record
	Bytes    int64  // memory they are charged with
	InFlight int    // calls that an upstream has not answered yet
	Evicted  uint64 // entries that the bounds pushed out inside their window, since the start
}

// New makes the collectors and registers them with reg; with a nil reg they
// count all the same but nobody collects them. It panics if reg already has
// one of them. calls are the names of the catalogue; [Other] joins them.
func New(reg prometheus.Registerer, calls []string) *Metrics { //nolint:funlen // the list of all collectors
	calls = append(calls[:len(calls):len(calls)], Other)
	b := builder{reg: reg, call: constraint(calls)}
	m := &Metrics{
		Requests: b.counter("requests_total",
			"Requests answered, by route, PowerJob call and status code.", "route", "call", "code"),
		RequestDuration: b.histogram("request_duration_seconds",
			"Time from a request's header to the end of its answer.", "route", "call"),
		UpstreamRequests: b.counter("upstream_requests_total",
			"Requests sent to upstream servers, by status code; error: no answer came.", "upstream", "call", "code"),
		UpstreamDuration: b.histogram("upstream_duration_seconds",
			"Time until an upstream server answered with its header.", "upstream"),
		Dedup: b.counter("dedup_total",
			"Calls under a dedup rule, by what was done: replayed and coalesced ones did not reach the server.", "call", "decision"),
		DedupBypassed: b.counter("dedup_bypassed_total",
			"Calls under a dedup rule that were forwarded without deduplication, by reason.", "reason"),
		Header: b.counter("header_total",
			"What the header rule did with X-POWERJOB-AUTH-PASSED on upstream answers.", "action"),
		Logins: b.counter("logins_total",
			"Logins of PowerJob clients, by kind and result.", "kind", "result"),
		Gate: b.counter("gate_total",
			"Calls that the gate looked at, by what became of them and why.", "decision", "reason"),
		Resends: b.counter("resends_total",
			"Re-sends of clients that did not see the header: not 0 means that it is lost on the way.", "call"),
		Translated: b.counter("translated_total",
			"Calls that were sent to an older server as a call that it has; by the call that the client made.", "call"),
		Outside: b.counter("outside_prefix_total",
			"Known calls that passed outside openapi_prefix, unseen by the rules: not 0 means a wrong prefix.", "call"),
		HeaderLost: b.counter("header_lost_total",
			"Re-sends of clients that made at least three within a minute: these do not see the header.", "call"),
		Unanswered: b.counter("unanswered_total",
			"Requests left without an answer so that callers go on to their next address, or not sent because they had gone.", "route", "reason"),
		Unasked: b.counter("upstream_unasked_total",
			"Connections on which a server sent bytes that nobody asked for, such as a second answer.", "upstream"),
		StoreErrors: b.counter("store_errors_total",
			"Failures of the dedup store, by operation.", "operation"),
		Observing: b.gauge("observing",
			"Whether the mode is observe: decisions are counted, and nothing on the wire is changed.").WithLabelValues(),
		ACMEEvents: b.counter("acme_events_total",
			"Certificates obtained and renewed by ACME, and attempts that failed.", "event"),
		ReloadSuccessful: b.gauge("config_last_reload_successful",
			"Whether the last attempt to load the configuration succeeded.").WithLabelValues(),
		ReloadTime: b.gauge("config_last_reload_success_timestamp_seconds",
			"Unix time of the last configuration load that succeeded.").WithLabelValues(),
		buildInfo: b.gauge("build_info",
			"Always 1; the labels tell which build is running.", "version", "revision", "goversion"),
	}
	b.register(newStoreCollector(m))
	m.upstreams = newUpstreamCollector()
	b.register(m.upstreams)
	b.register(newCertificateCollector(m))
	b.register(newLogCollector(m))

	for _, call := range calls {
		m.Resends.WithLabelValues(call)
		if call != Other {
			m.Outside.WithLabelValues(call)
		}
		m.HeaderLost.WithLabelValues(call)
		for _, d := range rules.Decisions() {
			m.Dedup.WithLabelValues(call, d)
		}
	}
	create(m.DedupBypassed, rules.BypassReasons())
	create(m.Header, rules.HeaderActions())
	create(m.StoreErrors, operations)
	m.Translated.WithLabelValues("runJob2")
	create(m.ACMEEvents, acmeEvents)
	m.Gate.WithLabelValues(string(access.VerdictPassed), "")
	for _, reason := range access.Reasons() {
		m.Gate.WithLabelValues(string(access.VerdictRefused), reason)
		m.Gate.WithLabelValues(string(access.VerdictObserved), reason)
	}
	for _, kind := range [...]string{LoginConstructor, LoginRefresh, LoginBridged} {
		for _, result := range [...]string{LoginOK, LoginRefused} {
			m.Logins.WithLabelValues(kind, result)
		}
	}
	return m
}

// ObserveStore makes dedup_entries, dedup_bytes, dedup_in_flight and
// dedup_evicted_before_expiry_total report what stats says, asked once per
// scrape. Until it is called they are 0. A second call replaces the first. stats is
// called from several goroutines and must not block.
func (m *Metrics) ObserveStore(stats func() StoreStats) { m.store.Store(&stats) }

// SetBuildInfo sets build_info's labels; a later call replaces them.
func (m *Metrics) SetBuildInfo(version, revision, goversion string) {
	m.buildInfo.Reset()
	m.buildInfo.WithLabelValues(version, revision, goversion).Set(1)
}

func create(v *prometheus.CounterVec, values []string) {
	for _, value := range values {
		v.WithLabelValues(value)
	}
}
