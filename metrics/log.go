package metrics

import "github.com/prometheus/client_golang/prometheus"

// ObserveLog makes log_dropped_total report what dropped says, asked once per
// scrape. Until it is called the metric is 0. A second call replaces the first.
// dropped is called from several goroutines.
func (m *Metrics) ObserveLog(dropped func() uint64) { m.log.Store(&dropped) }

func newLogCollector(m *Metrics) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{
		Namespace: Namespace, Name: "log_dropped_total",
		Help: "Log lines that were not written because nobody read the log fast enough, or writing failed.",
	}, func() float64 {
		if dropped := m.log.Load(); dropped != nil {
			return float64((*dropped)())
		}
		return 0
	})
}
