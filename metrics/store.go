package metrics

import "github.com/prometheus/client_golang/prometheus"

// storeCollector reports one StoreStats as three gauges, so that they belong
// to the same moment.
type storeCollector struct {
	m                        *Metrics
	entries, bytes, inFlight *prometheus.Desc
}

func newStoreCollector(m *Metrics) *storeCollector {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(Namespace, "", name), help, nil, nil)
	}
	return &storeCollector{
		m:        m,
		entries:  desc("dedup_entries", "Answers that the dedup store holds."),
		bytes:    desc("dedup_bytes", "Memory that the dedup store's answers are charged with."),
		inFlight: desc("dedup_in_flight", "Calls under a dedup rule that an upstream has not answered yet."),
	}
}

func (c *storeCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.entries
	ch <- c.bytes
	ch <- c.inFlight
}

func (c *storeCollector) Collect(ch chan<- prometheus.Metric) {
	var s StoreStats
	if stats := c.m.store.Load(); stats != nil {
		s = (*stats)()
	}
	gauge := func(d *prometheus.Desc, v float64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v)
	}
	gauge(c.entries, float64(s.Entries))
	gauge(c.bytes, float64(s.Bytes))
	gauge(c.inFlight, float64(s.InFlight))
}
