package proxy

import (
	"context"
	"errors"
	"time"
)

// maxFreeTerms is how many terms are kept for reuse: the leaders of a peak.
const maxFreeTerms = 256

// detached is a context that outlives the caller's, whose values it has: it ends
// with the upstream's timeout, or when the shim stops.
type detached struct {
	*term
	caller context.Context
}

// detach returns a detached context and what ends it.
func (p *Proxy) detach(caller context.Context, ex *exchange) (context.Context, context.CancelFunc) {
	t := p.lend(ex.group.settings.Timeout)
	return &detached{t, caller}, t.end
}

// Value implements context.Context.
func (d *detached) Value(key any) any {
	if v := d.term.Value(key); v != nil { // how package context finds its own
		return v
	}
	return d.caller.Value(key)
}

// term is a context that ends with Proxy.life, or when its time is over. To make
// one takes ten allocations, with what the Transport hangs on it: those that did
// not end are used again.
type term struct {
	context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	timed  bool // the timer was started
}

// lend returns a term that ends after timeout; 0: never. Either end or
// Proxy.takeBack must follow.
func (p *Proxy) lend(timeout time.Duration) *term {
	var t *term
	select {
	case t = <-p.freeTerms:
	default:
		t = new(term)
		t.Context, t.cancel = context.WithCancelCause(p.life)
		t.timer = time.AfterFunc(time.Hour, func() { t.cancel(context.DeadlineExceeded) })
		t.timer.Stop()
	}
	if t.timed = timeout > 0; t.timed {
		t.timer.Reset(timeout)
	}
	return t
}

// takeBack takes a term to be lent again. What was done under it must be over.
func (p *Proxy) takeBack(t *term) {
	if t.timed && !t.timer.Stop() || t.Err() != nil {
		t.end()
		return
	}
	select {
	case p.freeTerms <- t:
	default:
		t.end()
	}
}

// end ends a term for good.
func (t *term) end() {
	t.timer.Stop()
	t.cancel(nil)
}

// Err implements context.Context. Of a term whose time is over it says so.
func (t *term) Err() error {
	err := t.Context.Err()
	if err != nil && errors.Is(context.Cause(t.Context), context.DeadlineExceeded) {
		return context.DeadlineExceeded
	}
	return err
}
