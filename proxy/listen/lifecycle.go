package listen

import (
	"context"
	"net/netip"
	"time"
)

// Lifecycle is the owner of the handler that a Server serves: the Server asks it what
// it has to know, and tells it how far the drain is. Its methods are called by several
// goroutines at once.
type Lifecycle interface {
	// Life is the parent of all requests' contexts.
	Life() context.Context

	// Drain says that draining has begun: callers should go elsewhere. It returns for
	// how long everything is served as before, because others learn of it late, and for
	// how long requests may go on after that.
	Drain() (delay, grace time.Duration)

	// InFlight is how many requests are being served, hijacked ones included.
	InFlight() int64

	// End makes the handler answer the requests in flight at once. It may be called more than once.
	End()

	// Close is called when no listener serves any more, and returns when whatever
	// goes on besides requests has ended.
	Close()

	// Trusts reports whether a PROXY header is believed from this address.
	Trusts(netip.Addr) bool
}
