package main

import (
	"context"
	"os"
	"slices"
	"sync"

	"go.uber.org/zap"

	"powerjob-shim/internal/config"
	"powerjob-shim/internal/wire"
	"powerjob-shim/metrics"
	"powerjob-shim/proxy"
)

// reloader loads the configuration again while the proxy runs. A bad one
// changes nothing.
type reloader struct {
	src     config.Source
	started *config.Config // what listeners and store were made from
	proxy   *proxy.Proxy
	level   zap.AtomicLevel
	log     *zap.Logger
	metrics *metrics.Metrics

	mu      sync.Mutex // one reload at a time; guards what follows
	running *config.Config
	told    []string // the problems that a SIGHUP brought up, until the file's watch has seen them too
}

// fileChanged is why most reloads happen. After a SIGHUP there is another one
// with this reason, and it has nothing new to tell.
const fileChanged = "file changed"

// watch reloads on a signal and when the file's content changes, until ctx ends.
func (r *reloader) watch(ctx context.Context, hangUp <-chan os.Signal) {
	var wg sync.WaitGroup
	if file := r.src.Path(); file != "" {
		wg.Go(func() {
			config.Watch(ctx, file, r.secretFiles, r.started.Digest(), 0, func() { r.reload(fileChanged) }, r.unreadable)
		})
	}
	for {
		select {
		case <-hangUp:
			r.reload("SIGHUP")
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

// reload loads, compiles and swaps. why is for the log.
func (r *reloader) reload(why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	cfg, err := config.Load(r.src)
	if err != nil {
		r.failed(why, err)
		return
	}
	if cfg.Equal(r.running) {
		level := zap.InfoLevel
		if why == fileChanged { // a SIGHUP was faster, or it was a comment
			level = zap.DebugLevel
		}
		r.log.Log(level, "configuration unchanged", zap.String("why", why))
		r.succeeded()
		return
	}
	settings, err := wire.Settings(cfg)
	if err == nil {
		err = r.proxy.Swap(settings)
	}
	if err != nil {
		r.failed(why, err)
		return
	}
	r.level.SetLevel(wire.LogLevel(cfg.Log))
	r.running = cfg
	r.succeeded()
	r.log.Info("configuration loaded", zap.String("why", why), zap.String("configuration", cfg.Hash()))
	warnOfUncovered(cfg, r.log)
	if keys := config.RestartNeeded(r.started, cfg); len(keys) > 0 {
		r.log.Warn("these keys keep their old value until a restart", zap.Strings("keys", keys))
	}
}

// unreadable notes that the file cannot be read.
func (r *reloader) unreadable(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed("watching", err)
}

func (r *reloader) succeeded() {
	r.told = nil
	r.metrics.ReloadSuccessful.Set(1)
	r.metrics.ReloadTime.SetToCurrentTime()
}

func (r *reloader) failed(why string, err error) {
	r.metrics.ReloadSuccessful.Set(0)
	list := problems(err)
	told := r.told
	r.told = nil
	if why != fileChanged {
		r.told = list
	} else if slices.Equal(list, told) {
		return // a SIGHUP for the same content was faster
	}
	r.log.Error("configuration not loaded, the old one stays", zap.String("why", why), zap.Strings("problems", list))
}

// problems returns each of the errors that err joins.
func problems(err error) []string {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []string{err.Error()}
	}
	var all []string
	for _, e := range joined.Unwrap() {
		all = append(all, e.Error())
	}
	return all
}
