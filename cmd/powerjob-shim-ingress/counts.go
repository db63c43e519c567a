package main

import (
	"bytes"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"powerjob-shim/cmd/powerjob-shim-ingress/controller"
	"powerjob-shim/cmd/powerjob-shim-ingress/plan"
	"powerjob-shim/metrics"
)

// counts are the controller's own metrics.
type counts struct {
	ctl                          *controller.Controller
	ingresses, problems, leading *prometheus.Desc
}

func newCounts(ctl *controller.Controller) counts {
	name := func(n string) string { return prometheus.BuildFQName(metrics.Namespace, "ingress", n) }
	return counts{
		ctl:       ctl,
		ingresses: prometheus.NewDesc(name("ingresses"), "Ingresses that are served.", nil, nil),
		problems:  prometheus.NewDesc(name("problems"), "What is wrong with Ingresses now, by the reason of the Event.", []string{"reason"}, nil),
		leading:   prometheus.NewDesc(name("leader"), "1: this replica writes Events and status.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (c counts) Describe(descs chan<- *prometheus.Desc) {
	descs <- c.ingresses
	descs <- c.problems
	descs <- c.leading
}

// Collect implements prometheus.Collector.
func (c counts) Collect(samples chan<- prometheus.Metric) {
	ingresses, problems := c.ctl.Counts()
	leading := 0.0
	if c.ctl.Leading() {
		leading = 1
	}
	samples <- prometheus.MustNewConstMetric(c.ingresses, prometheus.GaugeValue, float64(ingresses))
	samples <- prometheus.MustNewConstMetric(c.leading, prometheus.GaugeValue, leading)
	for _, reason := range plan.Reasons {
		samples <- prometheus.MustNewConstMetric(c.problems, prometheus.GaugeValue, float64(problems[reason]), reason)
	}
}

// klogWriter writes klog's lines to log, at level debug.
type klogWriter struct{ log *zap.Logger }

// Write implements io.Writer.
func (w klogWriter) Write(p []byte) (int, error) {
	w.log.Debug("client-go", zap.ByteString("text", bytes.TrimSpace(p)))
	return len(p), nil
}
