package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Expiry tells how long a name's certificate is valid. If NotAfter is zero, the name has
// no certificate yet.
type Expiry struct {
	Name     string
	NotAfter time.Time
}

// ObserveCertificates makes certificate_expiry_timestamp_seconds report what
// expiries says, asked once per scrape. Of several certificates for a name the
// one that ends first counts. A second call replaces the first. expiries is
// called from several goroutines and must not block.
func (m *Metrics) ObserveCertificates(expiries func() []Expiry) { m.expiries.Store(&expiries) }

// certificateCollector reports what ObserveCertificates was given.
type certificateCollector struct {
	m      *Metrics
	expiry *prometheus.Desc
}

func newCertificateCollector(m *Metrics) *certificateCollector {
	return &certificateCollector{m: m, expiry: desc("certificate_expiry_timestamp_seconds",
		"Unix time until which the certificate of a listener's name is valid; 0: there is none yet.", "name")}
}

func (c *certificateCollector) Describe(descs chan<- *prometheus.Desc) { descs <- c.expiry }

func (c *certificateCollector) Collect(samples chan<- prometheus.Metric) {
	expiries := c.m.expiries.Load()
	if expiries == nil {
		return
	}
	first := map[string]float64{}
	for _, e := range (*expiries)() {
		at := 0.0
		if !e.NotAfter.IsZero() {
			at = float64(e.NotAfter.Unix())
		}
		if known, ok := first[e.Name]; !ok || at < known {
			first[e.Name] = at
		}
	}
	for name, at := range first {
		samples <- prometheus.MustNewConstMetric(c.expiry, prometheus.GaugeValue, at, name)
	}
}
