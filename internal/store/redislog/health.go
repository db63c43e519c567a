package redislog

import (
	"fmt"
	"time"
)

const (
	// openAfter is how many failures in a row open the circuit.
	openAfter = 3
	// probeEvery is how often Redis is tried while it is open.
	probeEvery = 500 * time.Millisecond
)

// health is how Redis fares. The zero value is well.
type health struct {
	failures int // in a row
	open     bool
	since    time.Time
	err      error // the last one
}

// failure reports whether all was well before.
func (h *health) failure(err error, now time.Time) (first bool) {
	h.failures++
	h.err = err
	h.open = h.open || h.failures >= openAfter
	if h.failures == 1 {
		h.since = now
		return true
	}
	return false
}

// success reports whether all was not well before.
func (h *health) success() (again bool) {
	again = h.failures > 0
	*h = health{}
	return again
}

// problem is a line for people; empty while all is well.
func (n *Node) problem() string {
	if n.health.failures == 0 {
		return ""
	}
	return fmt.Sprintf("dedup store: redis does not work for upstream %s since %s, this replica deduplicates alone: %v",
		n.o.Group, n.health.since.UTC().Format(time.RFC3339), n.health.err)
}
