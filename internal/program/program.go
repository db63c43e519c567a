// Package program has what the project's programs have in common: they say which
// build they are, end by signals and ask for a running one's health.
package program

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
)

// Build identifies a build of a program. Go is the version of Go.
type Build struct{ Version, Revision, Go string }

// BuildOf makes a Build of the values that the linker has set. Empty ones are replaced
// by those that Go itself put into the binary, or by "unknown".
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
	b.Version, b.Revision = cmp.Or(b.Version, "unknown"), cmp.Or(b.Revision, "unknown")
	return b
}

// String returns the text that a program's version command prints behind its name.
func (b Build) String() string {
	return fmt.Sprintf("%s (revision %s, %s %s/%s)", b.Version, b.Revision, b.Go, runtime.GOOS, runtime.GOARCH)
}

// UntilSignals returns a context that ends with the first SIGTERM or SIGINT, and one
// that ends with the second. release ends both and restores the signals' usual
// effect; it must be called once.
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
