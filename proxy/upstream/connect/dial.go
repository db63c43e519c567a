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
	// Timeout bounds the whole of connecting: the lookup, all addresses, and the TLS
	// handshake. PowerJob's client waits 2 s for a whole call. It must learn of a
	// failure before that, and there must be time to try another server.
	Timeout = 1500 * time.Millisecond

	// attemptDelay is how long one address is tried alone before the next is tried
	// beside it (RFC 8305, 5: 250 ms). It is less if there is not time for all of them.
	attemptDelay = 250 * time.Millisecond

	// slowFor is how long an address is tried after the others once it failed, or a
	// later one connected first.
	slowFor = 30 * time.Second

	keepAlive = 15 * time.Second
)

// Dialer connects to addresses by name. It looks the name up for each connection and
// tries its addresses one after the other, without waiting long for any (RFC 8305). It
// remembers a name's last good addresses, and uses them while a lookup fails. The zero
// value is ready to use. Safe for concurrent use.
type Dialer struct {
	// Lookup finds a name's addresses, the preferred ones first. Nil: the system's.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	// Connect connects to one IP address and port. Nil: a net.Dialer.
	Connect func(ctx context.Context, network, address string) (net.Conn, error)
	// Limit bounds the whole of connecting, a server's TLS handshake included. 0: Timeout.
	Limit time.Duration

	mu    sync.Mutex                   // guards what follows
	known map[string][]netip.Addr      // by name: the last good addresses
	slow  map[netip.AddrPort]time.Time // until when an address is tried after the others
}

// DialContext connects to "host:port" within Limit, or until ctx ends. The port must be
// a number. Its error is a *DialError if the address is well formed.
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

// inOrder returns addresses in the order in which they are tried: IPv4 and IPv6 in turn
// (RFC 8305, 4), and those in d.slow last.
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

// race tries the addresses and returns the first connection. If there is none, it
// returns nil and adds the attempts to failed. The next attempt begins when one fails,
// or after attemptDelay.
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
// little time for all of them and what comes after them.
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

// learn notes that good connected and all others in tried were slow. A zero good means
// that none connected.
func (d *Dialer) learn(tried []netip.AddrPort, good netip.AddrPort) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	for a, until := range d.slow { // there are only a few
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
