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
	// lookupPatience is how long a lookup is waited for where addresses from an
	// earlier one are known; at most a third of the time that is left.
	lookupPatience = 250 * time.Millisecond
	// lookupAgain is when a lookup without an answer is begun again beside the
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
	err       error // why there is nothing newer than what was known
}

// addresses returns where host is. If the lookup fails, or takes longer than
// lookupPatience, the last good addresses are returned together with its error.
func (d *Dialer) addresses(ctx context.Context, host string) lookup {
	if a, err := netip.ParseAddr(host); err == nil {
		return lookup{addresses: []netip.Addr{a}}
	}
	known := d.lastGood(host)
	result := make(chan lookup, 1)
	// The lookup goes on without its caller: what it finds is for the next one.
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

// lookUp asks until one question is answered, and remembers a good answer.
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
			// A Resolver joins equal questions into one. One whose packet was
			// lost must not hold the next.
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
