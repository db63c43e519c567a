package config

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"powerjob-shim/internal/tlsfile"
)

// PollInterval is how often Watch reads the file when no event asks for it.
const PollInterval = 5 * time.Second

// settle is how long a file must stay changed or missing before Watch reports it:
// editors truncate the file or move it away before they write it.
const settle = 50 * time.Millisecond

// Watch calls changed whenever the file's content differs from the last one;
// loaded is the Digest of the configuration that runs, so that no change since
// Load is missed. A file that is missing or unreadable is not a change: failed is
// called once with the reason, and changed when the file can be read again, even
// with the old content, so that the caller can undo what it did in failed. Watch
// calls both from its own goroutine. It returns when ctx ends.
//
// secrets returns the other files that are watched as if they were part of the
// file: Config.SecretFiles of the configuration that runs. Nil: none. Watch calls
// it from the same goroutine.
//
// The content is read every interval (0: PollInterval): that is the guarantee.
// File system events are only a hint to read it at once; if the system has no
// watches left, only the interval remains. Because Watch reads the content and
// not the events, a rename, a removal with a new file, an editor's save and a
// ConfigMap's swapped ..data link are all the same to it. Certificates that the
// configuration names are not watched: they are read where they are used.
func Watch(ctx context.Context, file string, secrets func() []string, loaded [sha256.Size]byte, interval time.Duration, changed func(), failed func(error)) {
	w := watch{file: file, secrets: secrets, last: loaded, changed: changed, failed: failed}
	events, err := fsnotify.NewWatcher()
	if err != nil {
		w.run(ctx, interval, nil, func() {})
		return
	}
	defer func() { _ = events.Close() }() // nothing was written
	w.run(ctx, interval, merged(ctx, events), func() {
		// The directory is watched, because the watch of a file is lost when the file
		// is replaced. It is added again each time, because the directory may have
		// been replaced too. An error does no harm: the content is read anyway.
		_ = events.Add(filepath.Dir(file))
	})
}

// merged passes events and errors on as hints; all that are waiting become one hint.
func merged(ctx context.Context, events *fsnotify.Watcher) <-chan struct{} {
	hints := make(chan struct{}, 1)
	go func() {
		for {
			more := false
			select {
			case <-ctx.Done():
			case _, more = <-events.Events:
			case _, more = <-events.Errors: // such as an overflow: something happened
			}
			if !more {
				return
			}
			select {
			case hints <- struct{}{}:
			default:
			}
		}
	}()
	return hints
}

type watch struct {
	file    string
	secrets func() []string   // nil: none
	last    [sha256.Size]byte // digest of the content that was loaded or reported last
	broken  bool              // failed was called, and changed has not been since
	changed func()
	failed  func(error)
}

// run looks at the file at once, every interval and at each hint. Before each look
// it calls rearm, so that hints keep coming.
func (w *watch) run(ctx context.Context, interval time.Duration, hints <-chan struct{}, rearm func()) {
	if interval <= 0 {
		interval = PollInterval
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		rearm()
		w.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-hints:
		}
	}
}

// look reports changed content, or an error, once the file has settled.
func (w *watch) look(ctx context.Context) {
	sum, err := w.sum()
	if err != nil && !w.broken && pause(ctx) { // an editor may have moved the file away for a moment
		sum, err = w.sum()
	}
	for err == nil && (sum != w.last || w.broken) {
		if !pause(ctx) {
			return
		}
		var again [sha256.Size]byte
		if again, err = w.sum(); err == nil && again == sum {
			w.last, w.broken = sum, false
			w.changed()
			return
		}
		sum = again
	}
	if err != nil && !w.broken && ctx.Err() == nil {
		w.broken = true
		w.failed(err)
	}
}

// pause waits for the time settle. It returns false if ctx ends first.
func pause(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(settle):
		return true
	}
}

func (w *watch) sum() ([sha256.Size]byte, error) {
	content, err := readFile(w.file)
	if err != nil {
		return [sha256.Size]byte{}, unreadable(w.file, err)
	}
	var secrets []secretFile
	if w.secrets != nil {
		for _, path := range w.secrets() {
			value, err := ReadSecret(path)
			if err != nil && !errors.Is(err, errEmptySecret) { // Load reports an empty one
				return [sha256.Size]byte{}, unreadable(path, err)
			}
			secrets = append(secrets, secretFile{path, value})
		}
	}
	return digest(content, secrets), nil
}

func unreadable(file string, err error) error {
	return fmt.Errorf("reading %s, the last configuration stays: %w", file, tlsfile.Reason(err))
}
