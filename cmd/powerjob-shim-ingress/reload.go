package main

import (
	"bytes"
	"context"
	"os"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"powerjob-shim/cmd/powerjob-shim-ingress/controller"
	"powerjob-shim/cmd/powerjob-shim-ingress/plan"
	"powerjob-shim/internal/config"
	"powerjob-shim/internal/wire"
	"powerjob-shim/metrics"
)

// reloader loads the configuration again while the controller runs. A bad one
// changes nothing.
type reloader struct {
	src     config.Source
	started *config.Config // what listeners and store were made from
	apply   func(plan.Base)
	level   zap.AtomicLevel
	log     *zap.Logger
	metrics *metrics.Metrics

	mu      sync.Mutex // one reload at a time; guards what follows
	running *config.Config
}

// watch reloads on a signal and when the file's content changes, until ctx ends.
func (r *reloader) watch(ctx context.Context, hangUp <-chan os.Signal) {
	var wg sync.WaitGroup
	if file := r.src.Path(); file != "" {
		wg.Go(func() {
			config.Watch(ctx, file, r.secretFiles, r.started.Digest(), 0, r.reload, r.failed)
		})
	}
	for {
		select {
		case <-hangUp:
			r.reload()
		case <-ctx.Done():
			wg.Wait()
			return
		}
	}
}

// secretFiles are those of the configuration that runs.
func (r *reloader) secretFiles() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.running.SecretFiles()
}

func (r *reloader) reload() {
	r.mu.Lock()
	defer r.mu.Unlock()
	cfg, err := config.Load(r.src)
	if err != nil {
		r.failed(err)
		return
	}
	base, err := baseOf(cfg)
	if err != nil {
		r.failed(err)
		return
	}
	r.succeeded()
	if cfg.Equal(r.running) {
		return
	}
	r.level.SetLevel(wire.LogLevel(cfg.Log))
	r.running = cfg
	r.apply(base)
	r.log.Info("configuration loaded", zap.String("configuration", cfg.Hash()))
	if keys := config.RestartNeeded(r.started, cfg); len(keys) > 0 {
		r.log.Warn("these keys keep their old value until a restart", zap.Strings("keys", keys))
	}
}

func (r *reloader) succeeded() {
	r.metrics.ReloadSuccessful.Set(1)
	r.metrics.ReloadTime.SetToCurrentTime()
}

func (r *reloader) failed(err error) {
	r.metrics.ReloadSuccessful.Set(0)
	r.log.Error("configuration not loaded, the old one stays", zap.Error(err))
}

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

// klogWriter makes log lines of klog's.
type klogWriter struct{ log *zap.Logger }

// Write implements io.Writer.
func (w klogWriter) Write(p []byte) (int, error) {
	w.log.Debug("client-go", zap.ByteString("text", bytes.TrimSpace(p)))
	return len(p), nil
}
