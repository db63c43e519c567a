package proxy

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
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
	over bool // beyond the bound
	left atomic.Bool
}

// enter returns nil for a connection that must be closed at once.
func (c *connections) enter() *place {
	n := c.open.Add(1)
	p := &place{in: c, over: c.bound > 0 && n > c.bound}
	if p.over && n > 2*c.bound {
		p.leave()
		return nil
	}
	return p
}

// leave gives the place back; net/http may close a connection twice.
func (p *place) leave() {
	if p != nil && p.left.CompareAndSwap(false, true) {
		p.in.open.Add(-1)
	}
}

func (p *place) isOver() bool { return p != nil && p.over }

type overKey struct{}

// markOver is the ConnContext of an http.Server: requests on connections beyond
// the bound can be told by it.
func markOver(ctx context.Context, c net.Conn) context.Context {
	if p, ok := c.(interface{ isOver() bool }); ok && p.isOver() {
		return context.WithValue(ctx, overKey{}, true)
	}
	return ctx
}

// crowded reports whether r came on a connection beyond its listener's bound.
func crowded(r *http.Request) bool { return r.Context().Value(overKey{}) != nil }
