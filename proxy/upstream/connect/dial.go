package connect

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"powerjob-shim/internal/socket"
)

const (
	// Timeout bounds connecting in all: the lookup, all addresses, and
	// the TLS handshake. PowerJob's client waits 2 s for a whole call; it must
	// learn before that, and another server must get its turn.
	Timeout = 1500 * time.Millisecond

	// attemptDelay is how long an address may take to answer before the next one is
	// tried beside it (RFC 8305, 5: 250 ms); less if the time would not be enough for
	// all of them.
	attemptDelay = 250 * time.Millisecond

	// slowFor is how long an address that failed, or was overtaken by a later
	// one, is tried after the others.
	slowFor = 30 * time.Second

	keepAlive = 15 * time.Second
)

// Dialer connects to addresses by name. It looks names up for each connection,
// tries their addresses one after the other without waiting long for any
// (RFC 8305), and keeps the last good addresses of a name for the time when it
// cannot be looked up. The zero value is ready to use. Safe for concurrent use.
type Dialer struct {
	// Lookup finds a name's addresses, the preferred ones first. Nil: the system's.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	// Connect connects to one IP address and port. Nil: a net.Dialer.
	Connect func(ctx context.Context, network, address string) (net.Conn, error)
	// Limit bounds connecting in all, a server's TLS handshake included. 0: Timeout.
	Limit time.Duration

	mu    sync.Mutex
	known map[string][]netip.Addr      // by name: the last good addresses
	slow  map[netip.AddrPort]time.Time // until when an address comes last
}

// DialContext connects to "host:port", the port a number, within Limit; ctx may end
// earlier. An error is a *DialError.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(d.Limit, Timeout))
	defer cancel()
	conn, _, err := d.dial(ctx, network, address)
	return conn, err
}

// dial also returns what the lookup found.
func (d *Dialer) dial(ctx context.Context, network, address string) (net.Conn, lookup, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, lookup{}, err
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return nil, lookup{}, err
	}
	found := d.addresses(ctx, host)
	failed := &DialError{Address: address, Lookup: found.err}
	if len(found.addresses) == 0 {
		return nil, found, failed
	}
	conn := d.race(ctx, network, d.inOrder(found.addresses, uint16(port)), failed)
	if conn == nil {
		return nil, found, failed
	}
	return conn, found, nil
}

// inOrder returns addresses in the order of the attempts: the families in turn
// (RFC 8305, 4), those that were slow a short while ago last.
func (d *Dialer) inOrder(addresses []netip.Addr, port uint16) []netip.AddrPort {
	var first, second []netip.AddrPort
	for _, a := range addresses {
		if a.Is4() == addresses[0].Is4() {
			first = append(first, netip.AddrPortFrom(a, port))
		} else {
			second = append(second, netip.AddrPortFrom(a, port))
		}
	}
	order := make([]netip.AddrPort, 0, len(addresses))
	for i := range max(len(first), len(second)) {
		if i < len(first) {
			order = append(order, first[i])
		}
		if i < len(second) {
			order = append(order, second[i])
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	slices.SortStableFunc(order, func(a, b netip.AddrPort) int {
		return btoi(now.Before(d.slow[a])) - btoi(now.Before(d.slow[b]))
	})
	return order
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

type attempt struct {
	to   netip.AddrPort
	conn net.Conn
	err  error
}

// race returns the first connection that is had, or nil with the attempts in
// failed. The next attempt begins when one fails, or after attemptDelay.
func (d *Dialer) race(ctx context.Context, network string, to []netip.AddrPort, failed *DialError) net.Conn {
	attempts, stop := context.WithCancel(ctx)
	defer stop()
	results := make(chan attempt, len(to))
	delay := share(ctx, attemptDelay, len(to))
	next := time.NewTimer(0)
	defer next.Stop()
	started := 0
	for ended := 0; ended < len(to); {
		select {
		case <-next.C:
			go func(a netip.AddrPort) {
				conn, err := d.connect(attempts, network, a.String())
				results <- attempt{a, conn, err}
			}(to[started])
			if started++; started < len(to) {
				next.Reset(delay)
			}
		case got := <-results:
			ended++
			if got.err == nil {
				d.learn(to[:started], got.to)
				go discard(results, started-ended)
				return got.conn
			}
			failed.Attempts = append(failed.Attempts, Attempt{got.to, got.err})
			if started < len(to) {
				next.Reset(0)
			}
		case <-ctx.Done():
			go discard(results, started-ended)
			failed.timedOut(ctx, to[:max(started, 1)])
			ended = len(to)
		}
	}
	d.learn(to[:started], netip.AddrPort{})
	return nil
}

// share returns how long one of n attempts may take: d, or less if ctx leaves too
// little time for all of them and for what comes after them.
func share(ctx context.Context, d time.Duration, n int) time.Duration {
	until, ok := ctx.Deadline()
	if !ok {
		return d
	}
	return max(min(d, time.Until(until)/time.Duration(n+1)), 0)
}

// discard closes the connections of n attempts that are not needed any more.
func discard(results <-chan attempt, n int) {
	for range n {
		if got := <-results; got.err == nil {
			_ = got.conn.Close() // nothing was written
		}
	}
}

func (d *Dialer) connect(ctx context.Context, network, address string) (net.Conn, error) {
	if d.Connect != nil {
		return d.Connect(ctx, network, address)
	}
	c, err := (&net.Dialer{KeepAlive: keepAlive}).DialContext(ctx, network, address)
	if tcp, ok := c.(*net.TCPConn); ok {
		return socket.New(tcp), nil
	}
	return c, err
}

// learn remembers that, of the addresses tried, only good answered; the zero
// value: none did.
func (d *Dialer) learn(tried []netip.AddrPort, good netip.AddrPort) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	for a, until := range d.slow { // a handful
		if a == good || now.After(until) {
			delete(d.slow, a)
		}
	}
	for _, a := range tried {
		if a == good {
			continue
		}
		if d.slow == nil {
			d.slow = map[netip.AddrPort]time.Time{}
		}
		d.slow[a] = now.Add(slowFor)
	}
}
