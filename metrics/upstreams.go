package metrics

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// UpstreamStats is the state of one server at one moment.
type UpstreamStats struct {
	Upstream, Server string // names of the configuration; each pair once
	Up               bool   // it gets its share of requests; false: only those that no other server takes
	InFlight         int64  // requests and tunnels
}

// upstreamCollector asks when it is scraped, so that servers that a reload
// removed leave no series behind.
type upstreamCollector struct {
	stats        atomic.Pointer[func() []UpstreamStats]
	up, inFlight *prometheus.Desc
}

func newUpstreamCollector() *upstreamCollector {
	return &upstreamCollector{
		up:       desc("upstream_up", "Whether a server gets requests: 0 while it refuses connections, is ejected or fails its health checks.", "upstream", "server"),
		inFlight: desc("upstream_in_flight", "Requests and tunnels that are at a server.", "upstream", "server"),
	}
}

func (c *upstreamCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.up
	ch <- c.inFlight
}

func (c *upstreamCollector) Collect(ch chan<- prometheus.Metric) {
	stats := c.stats.Load()
	if stats == nil {
		return
	}
	for _, s := range (*stats)() {
		up := 0.0
		if s.Up {
			up = 1
		}
		ch <- prometheus.MustNewConstMetric(c.up, prometheus.GaugeValue, up, s.Upstream, s.Server)
		ch <- prometheus.MustNewConstMetric(c.inFlight, prometheus.GaugeValue, float64(s.InFlight), s.Upstream, s.Server)
	}
}

// ObserveUpstreams makes upstream_up and upstream_in_flight report what stats
// says, asked once per scrape. Until it is called they have no series. A second
// call replaces the first. stats is called from several goroutines and must not
// block.
func (m *Metrics) ObserveUpstreams(stats func() []UpstreamStats) { m.upstreams.stats.Store(&stats) }

// UnaskedBytes counts a connection on which a server sent bytes that nobody asked for.
func (m *Metrics) UnaskedBytes(upstream string) { m.Unasked.WithLabelValues(upstream).Inc() }
