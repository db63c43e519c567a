package wire

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"powerjob-shim/internal/config"
	"powerjob-shim/metrics"
)

// A SIGHUP after a change usually comes before the watch, which also sees the change.
func TestABadConfigurationIsLoggedOnceForASIGHUPAndTheFilesWatch(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte("dedupe: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zapcore.InfoLevel)
	r := &Reloader{Source: config.Source{File: file}, Log: zap.New(core), Metrics: metrics.New(prometheus.NewRegistry(), nil)}
	for i, step := range []struct {
		why  string
		want int
	}{
		{"SIGHUP", 1},
		{fileChanged, 1},
		{fileChanged, 2}, // another content, with the same problem
		{"SIGHUP", 3},
		{"SIGHUP", 4}, // each SIGHUP gets an answer in the log
		{fileChanged, 4},
	} {
		if r.reload(step.why); logs.Len() != step.want {
			t.Errorf("step %d, %s: %d lines are logged, want %d", i, step.why, logs.Len(), step.want)
		}
	}
}
