package metrics

import "github.com/prometheus/client_golang/prometheus"

// newStoreCollector returns a collector that reports one StoreStats, so that all its
// series belong to the same moment.
func newStoreCollector(m *Metrics) prometheus.Collector {
	entries := desc("dedup_entries", "Calls and logins that the dedup store has on record.")
	bytes := desc("dedup_bytes", "Memory that the dedup store's record is charged with.")
	inFlight := desc("dedup_in_flight", "Calls under a dedup rule that an upstream has not answered yet.")
	evicted := desc("dedup_evicted_before_expiry_total", "Entries that the dedup store's bounds pushed out before their window was over.")
	return prometheus.CollectorFunc(func(ch chan<- prometheus.Metric) {
		var s StoreStats
		if stats := m.store.Load(); stats != nil {
			s = (*stats)()
		}
		ch <- prometheus.MustNewConstMetric(entries, prometheus.GaugeValue, float64(s.Entries))
		ch <- prometheus.MustNewConstMetric(bytes, prometheus.GaugeValue, float64(s.Bytes))
		ch <- prometheus.MustNewConstMetric(inFlight, prometheus.GaugeValue, float64(s.InFlight))
		ch <- prometheus.MustNewConstMetric(evicted, prometheus.CounterValue, float64(s.Evicted))
	})
}
