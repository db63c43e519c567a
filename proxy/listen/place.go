package listen

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"

	"powerjob-shim/internal/peer"
)

// connections counts those that a listener has open. Up to the bound they are
// served; as many again are answered with 503, because a caller learns nothing
// from a connection that is closed; all beyond are closed at once.
type connections struct {
	open  atomic.Int64
	bound int64 // 0: none
}

// Place is what a listener knows of one of its connections. Its methods may be called with nil.
type Place struct {
	in   *connections
	over bool            // beyond the bound
	raw  syscall.RawConn // nil: not known
	left atomic.Bool

	still bool // see SetStill
}

// enter returns nil for a connection that must be closed at once.
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

// leave gives the place back; net/http may close a connection twice.
func (p *Place) leave() {
	if p != nil && p.left.CompareAndSwap(false, true) {
		p.in.open.Add(-1)
	}
}

// hasLeft reports whether the connection was closed here.
func (p *Place) hasLeft() bool { return p != nil && p.left.Load() }

// isStill reports whether a Read into b must not touch the network. One byte is
// what net/http reads on a goroutine of its own, from the body's end on, to see
// the caller hang up; that goes on, and looks at nothing that is written here.
func (p *Place) isStill(b []byte) bool { return len(b) > 1 && p != nil && p.still }

// SyscallConn implements syscall.Conn: the socket can be asked whether its peer is
// still there.
func (p *Place) SyscallConn() (syscall.RawConn, error) {
	if p.raw == nil {
		return nil, net.ErrClosed
	}
	return p.raw, nil
}

// SetStill makes reads of more than one byte return 0, nil at once as long as still is
// true, so that what the server has read already can be taken without waiting. Only the
// handler of the connection's request may call it. p must not be nil.
func (p *Place) SetStill(still bool) { p.still = still }

// Over reports whether the connection is beyond its listener's bound, so that all it
// should get is an answer that says so.
func (p *Place) Over() bool { return p != nil && p.over }

// Gone reports whether the caller has closed the connection.
func (p *Place) Gone() bool { return p != nil && p.raw != nil && peer.Poll(p.raw) == peer.Gone }

func (p *Place) of() *Place { return p }

type placeKey struct{}

// withPlace is the ConnContext of an http.Server: requests can tell their
// connection's place by it.
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

// PlaceOf returns the place of r's connection; nil: no listener of this package.
func PlaceOf(r *http.Request) *Place {
	p, _ := r.Context().Value(placeKey{}).(*Place)
	return p
}
