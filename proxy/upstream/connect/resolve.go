package connect

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"
)

const (
	// lookupPatience is how long a lookup may take if addresses from an earlier one are
	// known, but at most a third of the time that is left.
	lookupPatience = 250 * time.Millisecond
	// lookupAgain is the interval at which an unanswered lookup is repeated beside the
	// first: one lost packet must not use up the time to connect. (Go's resolver
	// repeats after 5 s, resolv.conf's default.)
	lookupAgain = 500 * time.Millisecond
	// lookupTimeout ends lookups that nobody waits for any more.
	lookupTimeout = 5 * time.Second
)

var errNoAddress = errors.New("the name has no address")

// lookup is what a lookup found.
type lookup struct {
	addresses []netip.Addr
	err       error // why the lookup failed; addresses are then the last known ones
}

// addresses looks host up. If the lookup fails, or takes longer than lookupPatience, it
// returns the last good addresses together with the error.
func (d *Dialer) addresses(ctx context.Context, host string) lookup {
	if a, err := netip.ParseAddr(host); err == nil {
		return lookup{addresses: []netip.Addr{a}}
	}
	known := d.lastGood(host)
	result := make(chan lookup, 1)
	// The lookup goes on without its caller, so that the next one can use the result.
	detached := context.WithoutCancel(ctx)
	go func() { result <- d.lookUp(detached, host) }()
	if known != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, share(ctx, lookupPatience, 2))
		defer cancel()
	}
	select {
	case found := <-result:
		if found.err != nil {
			found.addresses = known
		}
		return found
	case <-ctx.Done():
		return lookup{known, errLookupSlow}
	}
}

// lookUp looks host up, again every lookupAgain, and returns the first result. It
// remembers the addresses if that is good.
func (d *Dialer) lookUp(ctx context.Context, host string) lookup {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	results := make(chan lookup, int(lookupTimeout/lookupAgain)+1)
	ask := func(r *net.Resolver) { go func() { results <- d.ask(ctx, r, host) }() }
	ask(net.DefaultResolver)
	asking := time.NewTicker(lookupAgain)
	defer asking.Stop()
	for {
		select {
		case found := <-results:
			if found.err == nil {
				d.remember(host, found.addresses)
			}
			return found
		case <-asking.C:
			// A Resolver merges equal questions, so that a lost packet would hold up
			// this one too: it needs a Resolver of its own.
			ask(new(net.Resolver))
		case <-ctx.Done():
			return lookup{err: errLookupSlow}
		}
	}
}

func (d *Dialer) ask(ctx context.Context, r *net.Resolver, host string) lookup {
	look := d.Lookup
	if look == nil {
		look = func(ctx context.Context, host string) ([]netip.Addr, error) { return r.LookupNetIP(ctx, "ip", host) }
	}
	found, err := look(ctx, host)
	if err != nil {
		return lookup{err: err}
	}
	addresses := make([]netip.Addr, 0, len(found))
	for _, a := range found {
		if a = a.Unmap(); !slices.Contains(addresses, a) {
			addresses = append(addresses, a)
		}
	}
	if len(addresses) == 0 {
		return lookup{err: errNoAddress}
	}
	return lookup{addresses: addresses}
}

func (d *Dialer) lastGood(host string) []netip.Addr {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.known[host]
}

func (d *Dialer) remember(host string, addresses []netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known == nil {
		d.known = map[string][]netip.Addr{}
	}
	d.known[host] = addresses
}
