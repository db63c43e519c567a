package metrics

import "github.com/prometheus/client_golang/prometheus"

// desc describes a metric that a collector of its own reports.
func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(Namespace, "", name), help, labels, nil)
}

// constraint maps every value that is not among calls to Other.
func constraint(calls []string) prometheus.LabelConstraint {
	known := make(map[string]struct{}, len(calls))
	for _, c := range calls {
		known[c] = struct{}{}
	}
	return func(call string) string {
		if _, ok := known[call]; ok {
			return call
		}
		return Other
	}
}

// builder makes collectors and registers them; every label named "call" gets
// its constraint.
type builder struct {
	reg  prometheus.Registerer // nil: register nothing
	call prometheus.LabelConstraint
}

func (b builder) register(c prometheus.Collector) {
	if b.reg != nil {
		b.reg.MustRegister(c)
	}
}

func (b builder) labels(names []string) prometheus.ConstrainableLabels {
	constrained := make(prometheus.ConstrainedLabels, len(names))
	found := false
	for i, name := range names {
		constrained[i].Name = name
		if name == "call" {
			constrained[i].Constraint, found = b.call, true
		}
	}
	if !found {
		return prometheus.UnconstrainedLabels(names)
	}
	return constrained
}

func (b builder) counter(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.V2.NewCounterVec(prometheus.CounterVecOpts{
		CounterOpts:    prometheus.CounterOpts{Namespace: Namespace, Name: name, Help: help},
		VariableLabels: b.labels(labels),
	})
	b.register(v)
	return v
}

func (b builder) histogram(name, help string, labels ...string) *prometheus.HistogramVec {
	v := prometheus.V2.NewHistogramVec(prometheus.HistogramVecOpts{
		HistogramOpts:  prometheus.HistogramOpts{Namespace: Namespace, Name: name, Help: help, Buckets: buckets},
		VariableLabels: b.labels(labels),
	})
	b.register(v)
	return v
}

func (b builder) gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: Namespace, Name: name, Help: help}, labels)
	b.register(v)
	return v
}
