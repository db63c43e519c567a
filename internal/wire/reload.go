package wire

import (
	"context"
	"os"
	"slices"
	"sync"

	"go.uber.org/zap"

	"powerjob-shim/internal/config"
	"powerjob-shim/metrics"
)

// Reloader loads the configuration again while a program runs. An invalid one changes
// nothing.
type Reloader struct {
	Source  config.Source
	Started *config.Config // the configuration that listeners and store were made from
	// Apply makes the program run on a configuration. After an error the old one
	// must still be in force.
	Apply   func(*config.Config) error
	Warn    func(*config.Config) []string // warnings about a valid configuration; nil: none
	Level   zap.AtomicLevel
	Log     *zap.Logger
	Metrics *metrics.Metrics

	mu      sync.Mutex // one reload at a time; guards what follows
	running *config.Config
	told    []string // problems that were logged after a SIGHUP, until the file's watch finds them too
}

// fileChanged is the reason of most reloads. After a SIGHUP for a changed file, a
// second reload follows with this reason, and finds nothing new.
const fileChanged = "file changed"

// Watch reloads on a signal and when the file's content changes, until ctx ends. When
// it is called, the program must run on Started.
func (r *Reloader) Watch(ctx context.Context, hangUp <-chan os.Signal) {
	r.mu.Lock()
	r.running = r.Started
	r.mu.Unlock()
	var wg sync.WaitGroup
	if file := r.Source.Path(); file != "" {
		wg.Go(func() {
			config.Watch(ctx, file, r.secretFiles, r.Started.Digest(), 0, func() { r.reload(fileChanged) }, r.unreadable)
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

// secretFiles returns the secret files of the configuration that runs.
func (r *Reloader) secretFiles() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.running.SecretFiles()
}

// reload loads the configuration and applies it. why is for the log.
func (r *Reloader) reload(why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	cfg, err := config.Load(r.Source)
	if err != nil {
		r.failed(why, err)
		return
	}
	if cfg.Equal(r.running) {
		level := zap.InfoLevel
		if why == fileChanged { // a SIGHUP came first, or only a comment changed
			level = zap.DebugLevel
		}
		r.Log.Log(level, "configuration unchanged", zap.String("why", why))
		r.succeeded()
		return
	}
	if err := r.Apply(cfg); err != nil {
		r.failed(why, err)
		return
	}
	r.Level.SetLevel(logLevel(cfg.Log))
	r.running = cfg
	r.succeeded()
	r.Log.Info("configuration loaded", zap.String("why", why), zap.String("configuration", cfg.Hash()))
	if r.Warn != nil {
		for _, warning := range r.Warn(cfg) {
			r.Log.Warn(warning)
		}
	}
	if keys := config.RestartNeeded(r.Started, cfg); len(keys) > 0 {
		r.Log.Warn("these keys keep their old value until a restart", zap.Strings("keys", keys))
	}
}

// unreadable notes that the file cannot be read.
func (r *Reloader) unreadable(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed("watching", err)
}

func (r *Reloader) succeeded() {
	r.told = nil
	Loaded(r.Metrics)
}

// Loaded notes in the metrics that a configuration was loaded.
func Loaded(m *metrics.Metrics) {
	m.ReloadSuccessful.Set(1)
	m.ReloadTime.SetToCurrentTime()
}

func (r *Reloader) failed(why string, err error) {
	r.Metrics.ReloadSuccessful.Set(0)
	list := problems(err)
	told := r.told
	r.told = nil
	if why != fileChanged {
		r.told = list
	} else if slices.Equal(list, told) {
		return // they were logged after a SIGHUP for the same content
	}
	r.Log.Error("configuration not loaded, the old one stays", zap.String("why", why), zap.Strings("problems", list))
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
