package exchange

import (
	"context"
	"errors"
	"net/http"

	"powerjob-shim/proxy/listen"
	"powerjob-shim/proxy/listen/plain"
)

// ErrStopping is the cause of contexts that end because the shim ends.
var ErrStopping = errors.New("powerjob-shim is stopping")

// Caller is the peer that a request came from. It is asked whether he is still there;
// docs/architecture.md says when.
type Caller interface {
	// Gone reports whether the caller has hung up.
	Gone() bool

	// OnGone has f called once the caller has hung up, on a goroutine of its own,
	// until stop is called. stop reports whether f will not be called any more.
	OnGone(f func()) (stop func() bool)
}

// callerOf returns the caller of a request.
func callerOf(r *http.Request) Caller {
	if c := plain.CallerOf(r.Context()); c != nil {
		return c
	}
	return watchedCaller{r.Context(), listen.PlaceOf(r)}
}

// WhileThere returns a context that ends when the caller hangs up. Call done when it
// is not needed any more.
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

// watchedCaller is a caller whom net/http's server watches: the context of his
// request ends when he hangs up.
type watchedCaller struct {
	ctx   context.Context
	place *listen.Place // his connection, which tells sooner; nil: the listener is not ours
}

// Watched reports whether the request came by net/http's server.
func (ex *Exchange) Watched() bool {
	_, is := ex.Caller.(watchedCaller)
	return is
}

// Gone implements Caller. That the shim stops does not mean that he has hung up.
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
