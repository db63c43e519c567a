package metrics

import "github.com/prometheus/client_golang/prometheus"

// storeCollector reports all of one StoreStats, so that the series belong to
// the same moment.
type storeCollector struct {
	m                                 *Metrics
	entries, bytes, inFlight, evicted *prometheus.Desc
}

func newStoreCollector(m *Metrics) *storeCollector {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(Namespace, "", name), help, nil, nil)
	}
	return &storeCollector{
		m:        m,
		entries:  desc("dedup_entries", "Calls and logins that the dedup store has on record."),
		bytes:    desc("dedup_bytes", "Memory that the dedup store's record is charged with."),
		inFlight: desc("dedup_in_flight", "Calls under a dedup rule that an upstream has not answered yet."),
		evicted:  desc("dedup_evicted_before_expiry_total", "Entries that the dedup store's bounds pushed out before their window was over."),
	}
}

func (c *storeCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.entries
	ch <- c.bytes
	ch <- c.inFlight
	ch <- c.evicted
}

func (c *storeCollector) Collect(ch chan<- prometheus.Metric) {
	var s StoreStats
	if stats := c.m.store.Load(); stats != nil {
		s = (*stats)()
	}
	send := func(d *prometheus.Desc, t prometheus.ValueType, v float64) {
		ch <- prometheus.MustNewConstMetric(d, t, v)
	}
	send(c.entries, prometheus.GaugeValue, float64(s.Entries))
	send(c.bytes, prometheus.GaugeValue, float64(s.Bytes))
	send(c.inFlight, prometheus.GaugeValue, float64(s.InFlight))
	send(c.evicted, prometheus.CounterValue, float64(s.Evicted))
}
