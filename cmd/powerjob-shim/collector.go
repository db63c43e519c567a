package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// garbage is how many bytes of it may gather before they are collected: with
	// them, 100,000 remembered calls take 64 MiB and their answers, all told.
	garbage = 14 << 20
	// leastPercent bounds how hard the collector may have to work for that.
	leastPercent = 30
	// usualPercent is Go's own setting: as much garbage as there is live.
	usualPercent = 100
)

// paceCollector keeps the garbage that gathers at some 14 MiB, as long as ctx
// lasts. Left alone it may grow as large as what is live, so that a full dedup
// record would take its size twice. GOGC in the environment has its way.
func paceCollector(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	percent := usualPercent
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			debug.SetGCPercent(usualPercent) // tests run several shims in one process
			return
		case <-tick.C:
		}
		metrics.Read(live)
		if p := gcPercent(live[0].Value.Uint64()); p != percent {
			percent = p
			debug.SetGCPercent(percent)
		}
	}
}

// gcPercent returns GOGC for a heap of so many live bytes, in steps of 5: each
// change stops the world for a moment.
func gcPercent(live uint64) int {
	percent := garbage * 100 / max(live, 1) / 5 * 5
	return int(min(max(percent, leastPercent), usualPercent))
}
