package proxy

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
)

// connections counts those that a listener has open. Up to the bound they are
// served; as many again are answered with 503, because a caller learns nothing
// from a connection that is closed; all beyond are closed at once.
type connections struct {
	open  atomic.Int64
	bound int64 // 0: none
}

// place is one connection's. Its methods may be called with nil.
type place struct {
	in   *connections
	over bool            // beyond the bound
	raw  syscall.RawConn // nil: not known
	left atomic.Bool

	// still: a Read takes nothing from the network and returns 0, nil. So a body
	// can be read as far as net/http has it already.
	still bool
}

// enter returns nil for a connection that must be closed at once.
func (c *connections) enter(conn syscall.Conn) *place {
	n := c.open.Add(1)
	p := &place{in: c, over: c.bound > 0 && n > c.bound}
	if p.over && n > 2*c.bound {
		p.leave()
		return nil
	}
	p.raw, _ = conn.SyscallConn() // fails for a closed connection, which nobody reads
	return p
}

// leave gives the place back; net/http may close a connection twice.
func (p *place) leave() {
	if p != nil && p.left.CompareAndSwap(false, true) {
		p.in.open.Add(-1)
	}
}

// isStill reports whether a Read into b must not touch the network. One byte is
// what net/http reads on a goroutine of its own, from the body's end on, to see
// the caller hang up; that goes on, and looks at nothing that is written here.
func (p *place) isStill(b []byte) bool { return len(b) > 1 && p != nil && p.still }

// SyscallConn implements syscall.Conn: the socket can be asked whether its peer is
// still there.
func (p *place) SyscallConn() (syscall.RawConn, error) {
	if p.raw == nil {
		return nil, net.ErrClosed
	}
	return p.raw, nil
}

func (p *place) of() *place { return p }

type placeKey struct{}

// withPlace is the ConnContext of an http.Server: requests can tell their
// connection's place by it.
func withPlace(ctx context.Context, c net.Conn) context.Context {
	for {
		switch conn := c.(type) {
		case interface{ of() *place }:
			return context.WithValue(ctx, placeKey{}, conn.of())
		case interface{ NetConn() net.Conn }: // it was handed over
			c = conn.NetConn()
		default:
			return ctx
		}
	}
}

// placeOf returns the place of r's connection; nil: no listener of ours.
func placeOf(r *http.Request) *place {
	p, _ := r.Context().Value(placeKey{}).(*place)
	return p
}

// crowded reports whether r came on a connection beyond its listener's bound.
func crowded(r *http.Request) bool {
	p := placeOf(r)
	return p != nil && p.over
}
