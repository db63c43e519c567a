package listen

import (
	"context"
	"net/netip"
	"time"
)

// Lifecycle is implemented by the owner of the handler that a Server serves. Through it
// the Server learns the owner's settings and reports the progress of a drain. Several
// goroutines call its methods at once.
type Lifecycle interface {
	// Life returns the parent of all requests' contexts.
	Life() context.Context

	// Drain announces that draining has begun, so that callers can go elsewhere. They
	// notice late: for delay everything is served as before. After that, requests in
	// flight may go on for grace.
	Drain() (delay, grace time.Duration)

	// InFlight returns how many requests are being served, hijacked ones included.
	InFlight() int64

	// End makes the handler answer the requests in flight at once. It may be called more than once.
	End()

	// Close is called when no listener serves any more. It returns when all background
	// work has ended.
	Close()

	// Trusts reports whether a PROXY header is believed from this address.
	Trusts(netip.Addr) bool
}
