package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"powerjob-shim/rules"
)

// Answered counts one answer to a caller. status is what [Code] takes, seconds
// are from the request's header to the end of the answer. id is the request's id: at
// most ten times a second one is kept with its bucket as an exemplar.
func (m *Metrics) Answered(route, call string, status int, seconds float64, id string) {
	s := m.answered.of(labels{route, call, Code(status)}, func(l labels) series {
		return series{m.Requests.WithLabelValues(l.name, l.call, l.code), m.RequestDuration.WithLabelValues(l.name, l.call)}
	})
	s.count.Inc()
	if exemplary, ok := s.duration.(prometheus.ExemplarObserver); ok && len(id) <= maxExemplarID && m.exemplarDue() {
		exemplary.ObserveWithExemplar(seconds, prometheus.Labels{exemplarID: id})
		return
	}
	s.duration.Observe(seconds)
}

const (
	exemplarID = "request_id" // as in the log
	// maxExemplarID leaves room for the label's name: both together may have 128
	// characters, or client_golang panics.
	maxExemplarID = 128 - len(exemplarID)
	exemplarEvery = 100 // milliseconds: an exemplar costs as much as everything else that is counted for a request
)

func (m *Metrics) exemplarDue() bool {
	now, last := time.Now().UnixMilli(), m.lastExemplar.Load()
	return now-last >= exemplarEvery && m.lastExemplar.CompareAndSwap(last, now)
}

// Asked counts one request to a server of the group upstream. seconds are until
// the header of its answer; status 0 says that no answer came, and seconds are then
// ignored.
func (m *Metrics) Asked(upstream, call string, status int, seconds float64) {
	s := m.asked.of(labels{upstream, call, Code(status)}, func(l labels) series {
		return series{m.UpstreamRequests.WithLabelValues(l.name, l.call, l.code), m.UpstreamDuration.WithLabelValues(l.name)}
	})
	s.count.Inc()
	if status != 0 {
		s.duration.Observe(seconds)
	}
}

// PresetUpstream creates a group's series of requests without an answer, at 0, so
// that a query for them finds something.
func (m *Metrics) PresetUpstream(upstream string) {
	m.UpstreamRequests.WithLabelValues(upstream, Other, Code(0))
}

// HeaderRule counts one header rule that did something to an upstream's answer.
// action is one of the label's values: added, kept, recased or denied.
func (m *Metrics) HeaderRule(action rules.HeaderAction) {
	m.headers.of(action, func(a rules.HeaderAction) prometheus.Counter { return m.Header.WithLabelValues(string(a)) }).Inc()
}

// Decided counts what became of a call under a dedup rule.
func (m *Metrics) Decided(call string, d rules.Decision) {
	m.decided.of(decision{call, d}, func(d decision) prometheus.Counter { return m.Dedup.WithLabelValues(d.call, string(d.decision)) }).Inc()
}

// decision is what one series of dedup_total counts.
type decision struct {
	call     string
	decision rules.Decision
}

// labels of one of the series below; name is a route or an upstream.
type labels struct{ name, call, code string }

// series are what one request adds to.
type series struct {
	count    prometheus.Counter
	duration prometheus.Observer
}
