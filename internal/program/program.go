// Package program has what the project's programs do alike: say which build
// they are, and end by signals.
package program

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
)

// Build is which build a program is.
type Build struct{ Version, Revision, Go string }

// BuildOf takes what the linker has set. What is empty is what Go itself put
// into the binary; "unknown" where nobody knows.
func BuildOf(version, revision string) Build {
	b := Build{version, revision, runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		if b.Version == "" {
			b.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && b.Revision == "" {
				b.Revision = s.Value
			}
		}
	}
	if b.Version == "" {
		b.Version = "unknown"
	}
	if b.Revision == "" {
		b.Revision = "unknown"
	}
	return b
}

// String is what a program's version command prints behind its name.
func (b Build) String() string {
	return fmt.Sprintf("%s (revision %s, %s %s/%s)", b.Version, b.Revision, b.Go, runtime.GOOS, runtime.GOARCH)
}

// UntilSignals returns a context that ends with the first SIGTERM or SIGINT,
// and one that ends with the second. release gives the signals back; it is
// called once.
func UntilSignals(parent context.Context) (stop, now context.Context, release func()) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	stop, first := context.WithCancel(parent)
	now, second := context.WithCancel(parent)
	done := make(chan struct{})
	go func() {
		for _, end := range []context.CancelFunc{first, second} {
			select {
			case <-signals:
				end()
			case <-done:
				return
			}
		}
	}()
	return stop, now, func() {
		signal.Stop(signals)
		close(done)
		first()
		second()
	}
}
