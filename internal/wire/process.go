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

// Process is what the project's programs have alike: a log, metrics, and work
// that goes on beside the listeners.
type Process struct {
	Logger   *zap.Logger
	Level    zap.AtomicLevel
	Registry *prometheus.Registry
	Metrics  *metrics.Metrics

	lines      *logging.Log
	background sync.WaitGroup
}

// NewProcess opens the log that cfg describes, on stderr, and makes the metrics.
// It sets what holds for the whole process: the standard log and the memory limit.
// Close must be called.
func NewProcess(cfg *config.Config, stderr io.Writer, build program.Build) *Process {
	lines := OpenLog(cfg.Log, stderr)
	SilenceStandardLog(lines.Logger)
	collector.LimitMemory(lines.Logger)
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m := metrics.New(registry, openapi.Names())
	m.SetBuildInfo(build.Version, build.Revision, build.Go)
	m.ObserveLog(lines.Dropped)
	return &Process{Logger: lines.Logger, Level: lines.Level, Registry: registry, Metrics: m, lines: lines}
}

// Go runs f on a goroutine of its own. A panic there ends the process, and what
// led to it is written before.
func (p *Process) Go(f func()) {
	p.background.Go(func() {
		defer func() { _ = p.Logger.Sync() }()
		f()
	})
}

// Wait waits for what Go began.
func (p *Process) Wait() { p.background.Wait() }

// Close writes what the log still holds.
func (p *Process) Close() { p.lines.Close() }
