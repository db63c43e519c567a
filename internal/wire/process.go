package wire

import (
	"io"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"

	"powerjob-shim/internal/collector"
	"powerjob-shim/internal/config"
	"powerjob-shim/internal/logging"
	"powerjob-shim/internal/program"
	"powerjob-shim/metrics"
	"powerjob-shim/rules/openapi"
)

// Process has what the project's programs have in common: a log, metrics, and work
// that goes on beside the listeners.
type Process struct {
	Logger   *zap.Logger
	Level    zap.AtomicLevel
	Registry *prometheus.Registry
	Metrics  *metrics.Metrics

	lines      *logging.Log
	background sync.WaitGroup
}

// NewProcess opens the log that cfg describes, on stderr, and makes the metrics. It
// also sets the standard log and the memory limit of the whole process. The caller
// must call Close.
func NewProcess(cfg *config.Config, stderr io.Writer, build program.Build) *Process {
	lines := OpenLog(cfg.Log, stderr)
	redirectStandardLog(lines.Logger)
	collector.LimitMemory(lines.Logger)
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m := metrics.New(registry, openapi.Names())
	m.SetBuildInfo(build.Version, build.Revision, build.Go)
	m.ObserveLog(lines.Dropped)
	return &Process{Logger: lines.Logger, Level: lines.Level, Registry: registry, Metrics: m, lines: lines}
}

// Go runs f on a goroutine of its own. If f panics, the process ends, but the log
// lines so far are written first.
func (p *Process) Go(f func()) {
	p.background.Go(func() {
		defer func() { _ = p.Logger.Sync() }()
		f()
	})
}

// Wait waits until all functions that Go has started return.
func (p *Process) Wait() { p.background.Wait() }

// Close writes the log lines that still wait, and ends the log.
func (p *Process) Close() { p.lines.Close() }
