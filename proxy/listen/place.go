package listen

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"

	"powerjob-shim/internal/peer"
)

// connections counts a listener's open connections. Up to the bound they are served.
// As many again are answered with 503, because a closed connection tells a caller
// nothing; any further ones are closed at once.
type connections struct {
	open  atomic.Int64
	bound int64 // 0: no bound
}

// Place is what a listener knows about one of its connections. A nil Place is valid
// unless its method says otherwise.
type Place struct {
	in   *connections
	over bool            // beyond the bound
	raw  syscall.RawConn // nil: not known
	left atomic.Bool     // leave was called

	still bool // see SetStill
}

// enter counts a connection in. It returns nil if conn must be closed at once.
func (c *connections) enter(conn syscall.Conn) *Place {
	n := c.open.Add(1)
	p := &Place{in: c, over: c.bound > 0 && n > c.bound}
	if p.over && n > 2*c.bound {
		p.leave()
		return nil
	}
	p.raw, _ = conn.SyscallConn() // fails for a closed connection, which nobody reads
	return p
}

// leave counts the connection out, once: net/http may close a connection twice.
func (p *Place) leave() {
	if p != nil && p.left.CompareAndSwap(false, true) {
		p.in.open.Add(-1)
	}
}

// hasLeft reports whether the connection was closed here.
func (p *Place) hasLeft() bool { return p != nil && p.left.Load() }

// isStill reports whether a Read into b must not touch the network. Reads of one byte
// always may: once the body has ended, net/http makes them on a goroutine of its own
// to notice a hang-up. They do not look at still, so there is no data race.
func (p *Place) isStill(b []byte) bool { return len(b) > 1 && p != nil && p.still }

// SyscallConn implements syscall.Conn, for polling whether the peer is still there. p
// must not be nil.
func (p *Place) SyscallConn() (syscall.RawConn, error) {
	if p.raw == nil {
		return nil, net.ErrClosed
	}
	return p.raw, nil
}

// SetStill makes reads of more than one byte return 0, nil at once while still is true.
// So a handler can take what the server has already read, without waiting for more.
// Only the handler of the connection's request may call it. p must not be nil.
func (p *Place) SetStill(still bool) { p.still = still }

// Over reports whether the connection is beyond its listener's bound: it should get only
// an answer that says so.
func (p *Place) Over() bool { return p != nil && p.over }

// Gone reports whether the caller has closed the connection.
func (p *Place) Gone() bool { return p != nil && p.raw != nil && peer.Poll(p.raw) == peer.Gone }

func (p *Place) of() *Place { return p }

type placeKey struct{}

// withPlace is the ConnContext of an http.Server. It adds the connection's place to the
// context, for PlaceOf.
func withPlace(ctx context.Context, c net.Conn) context.Context {
	for {
		switch conn := c.(type) {
		case interface{ of() *Place }:
			return context.WithValue(ctx, placeKey{}, conn.of())
		case interface{ NetConn() net.Conn }: // it was handed over
			c = conn.NetConn()
		default:
			return ctx
		}
	}
}

// PlaceOf returns the place of r's connection; nil if r came by no listener of this package.
func PlaceOf(r *http.Request) *Place {
	p, _ := r.Context().Value(placeKey{}).(*Place)
	return p
}
