package exchange

import (
	"context"
	"errors"
	"net/http"

	"powerjob-shim/proxy/listen"
	"powerjob-shim/proxy/listen/plain"
)

// ErrStopping is the cause of contexts that end because the shim stops.
var ErrStopping = errors.New("powerjob-shim is stopping")

// Caller is the peer that a request came from. It can be asked whether the peer is still
// there; docs/architecture.md says when that is done.
type Caller interface {
	// Gone reports whether the caller has hung up.
	Gone() bool

	// OnGone calls f on a goroutine of its own when the caller has hung up, unless stop
	// is called before. stop returns true if f was not called and will not be.
	OnGone(f func()) (stop func() bool)
}

// callerOf returns the caller of a request.
func callerOf(r *http.Request) Caller {
	if c := plain.CallerOf(r.Context()); c != nil {
		return c
	}
	return watchedCaller{r.Context(), listen.PlaceOf(r)}
}

// WhileThere returns a context that ends when ctx ends or the caller hangs up. done must
// be called when the context is not needed any more.
func (ex *Exchange) WhileThere(ctx context.Context) (_ context.Context, done func()) {
	if ex.Caller == nil || ex.Watched() {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	stay := ex.Caller.OnGone(cancel)
	return ctx, func() {
		stay()
		cancel()
	}
}

// watchedCaller is the caller of a request that net/http's server serves. It watches for
// a hang-up, and then ends the request's context.
type watchedCaller struct {
	ctx   context.Context
	place *listen.Place // the connection, which shows a hang-up sooner; nil: of a listener that is not ours
}

// Watched reports whether the request came by net/http's server.
func (ex *Exchange) Watched() bool {
	_, is := ex.Caller.(watchedCaller)
	return is
}

// Gone implements Caller. A context that ended because the shim stops is not a hang-up.
func (c watchedCaller) Gone() bool {
	if c.ctx.Err() != nil {
		return !errors.Is(context.Cause(c.ctx), ErrStopping)
	}
	return c.place.Gone()
}

// OnGone implements Caller.
func (c watchedCaller) OnGone(f func()) (stop func() bool) {
	return context.AfterFunc(c.ctx, func() {
		if c.Gone() {
			f()
		}
	})
}
