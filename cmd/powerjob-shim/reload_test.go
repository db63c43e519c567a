package main

import (
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"powerjob-shim/internal/config"
	"powerjob-shim/metrics"
)

// A SIGHUP after a change is mostly faster than the watch, which sees the change
// all the same.
func TestABadConfigurationIsLoggedOnceForASIGHUPAndTheFilesWatch(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	writeFile(t, file, "dedupe: {}\n")
	core, logs := observer.New(zapcore.InfoLevel)
	r := &reloader{src: config.Source{File: file}, log: zap.New(core), metrics: metrics.New(prometheus.NewRegistry(), nil)}
	for i, step := range []struct {
		why  string
		want int
	}{
		{"SIGHUP", 1},
		{fileChanged, 1},
		{fileChanged, 2}, // another content, wrong in the same place
		{"SIGHUP", 3},
		{"SIGHUP", 4}, // whoever asks gets an answer
		{fileChanged, 4},
	} {
		if r.reload(step.why); logs.Len() != step.want {
			t.Errorf("step %d, %s: %d lines are logged, want %d", i, step.why, logs.Len(), step.want)
		}
	}
}
