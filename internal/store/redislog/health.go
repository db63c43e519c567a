package redislog

import (
	"fmt"
	"time"
)

const (
	// openAfter is the number of failures in a row that open the circuit.
	openAfter = 3
	// probeEvery is how often Redis is tried while it is open.
	probeEvery = 500 * time.Millisecond
)

// health tells whether Redis works. The zero value: it does.
type health struct {
	failures int // in a row
	open     bool
	since    time.Time
	err      error // the last one
}

// failure notes a failure, and reports whether it is the first in a row.
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

// success notes a success, and reports whether a failure came before it.
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
