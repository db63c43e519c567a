// Package collector tunes Go's garbage collector for a proxy, which keeps little in
// memory and should stay within its container's limit.
package collector

import (
	"context"
	"log/slog"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"go.uber.org/zap"
)

const (
	// heapRoom is the heap's size in bytes before a collection, however little of it
	// is live. With Go's own pace a heap is collected at twice its live bytes, at
	// least 4 MiB: a proxy, which keeps next to nothing, would collect every few
	// hundred requests.
	heapRoom = 40 << 20
	// leastGarbage is how many bytes of garbage may gather even if almost heapRoom or
	// more is live. With it, 100,000 remembered calls take 64 MiB in all, plus their
	// answers.
	leastGarbage = 14 << 20

	// The bounds of GOGC. The lower one limits the collector's work when much is live.
	leastPercent = 30
	mostPercent  = 1000
	usualPercent = 100 // Go's default: as much garbage as live bytes
)

// LimitMemory sets the garbage collector's limit to nine tenths of the container's
// memory limit: a tenth is left for memory that Go does not count. GOMEMLIMIT and
// AUTOMEMLIMIT in the environment take precedence.
func LimitMemory(log *zap.Logger) {
	limit, err := memlimit.Set(memlimit.WithRatio(0.9), memlimit.WithProvider(memlimit.FromCgroup), memlimit.WithLogger(slog.New(slog.DiscardHandler)))
	switch {
	case err != nil: // there are no cgroups here, and so no limit
		log.Debug("memory limit unknown", zap.Error(err))
	case limit == math.MaxInt64:
		log.Info("memory is not limited")
	default:
		log.Info("memory limit", zap.Int64("bytes", limit))
	}
}

// Pace adjusts GOGC to the live bytes after each collection, until ctx ends. If GOGC
// is set in the environment, it does nothing.
func Pace(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	percent := usualPercent
	collected := make(chan struct{}, 1)
	notifyCollections(ctx, collected)
	for {
		metrics.Read(live)
		if p := gcPercent(live[0].Value.Uint64()); p != percent {
			percent = p
			debug.SetGCPercent(percent)
		}
		select {
		case <-ctx.Done():
			debug.SetGCPercent(usualPercent) // tests run several shims in one process
			return
		case <-collected:
		}
	}
}

// notifyCollections sends to collected after each garbage collection, until ctx ends.
// It makes an unreachable object, whose finalizer runs after the next collection.
func notifyCollections(ctx context.Context, collected chan<- struct{}) {
	runtime.SetFinalizer(new(*byte), func(**byte) {
		if ctx.Err() != nil {
			return
		}
		select {
		case collected <- struct{}{}:
		default: // the last notification has not been received yet
		}
		notifyCollections(ctx, collected)
	})
}

// gcPercent returns GOGC for a heap with so many live bytes. It is a multiple of 5, so
// that it changes rarely: each change stops the world for a moment.
func gcPercent(live uint64) int {
	garbage := max(heapRoom, live+leastGarbage) - live
	percent := garbage * 100 / max(live, 1) / 5 * 5
	return int(min(max(percent, leastPercent), mostPercent))
}
