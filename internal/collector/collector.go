// Package collector sets Go's garbage collector up for a proxy: it keeps little,
// and should stay within its container's memory.
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
	// heapRoom is what the heap may grow to, however little of it is live. Go's
	// own room, 4 MiB or as much again as is live, makes a proxy, which keeps
	// next to nothing, collect every few hundred requests.
	heapRoom = 40 << 20
	// leastGarbage is how many bytes of it may gather where more than heapRoom is
	// live: with them, 100,000 remembered calls take 64 MiB and their answers,
	// all told.
	leastGarbage = 14 << 20

	// The bounds of GOGC. The lower one bounds how hard the collector may have
	// to work for that.
	leastPercent = 30
	mostPercent  = 1000
	usualPercent = 100 // Go's own: as much garbage as there is live
)

// LimitMemory makes the container's memory limit the garbage collector's, with
// a tenth left for what it does not count. GOMEMLIMIT and AUTOMEMLIMIT in the
// environment have their way.
func LimitMemory(log *zap.Logger) {
	limit, err := memlimit.Set(memlimit.WithRatio(0.9), memlimit.WithProvider(memlimit.FromCgroup), memlimit.WithLogger(slog.New(slog.DiscardHandler)))
	switch {
	case err != nil: // no cgroups here: nothing limits us
		log.Debug("memory limit unknown", zap.Error(err))
	case limit == math.MaxInt64:
		log.Info("memory is not limited")
	default:
		log.Info("memory limit", zap.Int64("bytes", limit))
	}
}

// Pace sets GOGC by what is live, as long as ctx lasts. GOGC in the
// environment has its way.
func Pace(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	percent := usualPercent
	collected := make(chan struct{}, 1)
	tellCollections(ctx, collected)
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

// tellCollections sends after each garbage collection, as long as ctx lasts:
// then the finalizer of an object runs that nobody holds.
func tellCollections(ctx context.Context, collected chan<- struct{}) {
	runtime.SetFinalizer(new(*byte), func(**byte) {
		if ctx.Err() != nil {
			return
		}
		select {
		case collected <- struct{}{}:
		default: // the one before has not been looked at
		}
		tellCollections(ctx, collected)
	})
}

// gcPercent returns GOGC for a heap of so many live bytes, in steps of 5: each
// change stops the world for a moment.
func gcPercent(live uint64) int {
	garbage := max(heapRoom, live+leastGarbage) - live
	percent := garbage * 100 / max(live, 1) / 5 * 5
	return int(min(max(percent, leastPercent), mostPercent))
}
