package exchange

import (
	"context"
	"errors"
	"net/http"
	"time"

	up "powerjob-shim/proxy/upstream"
)

// Wanted is asked just before a call's first byte is written to a server. An
// error: the caller has hung up and nobody else waits for the answer, so that the
// call must not be sent: its client is on the way to another address, where it
// would be carried out a second time. A caller that has closed its sending side
// only counts as hung up: nobody can tell the two apart. Callers who wait on another
// replica are not known here: each is told that nothing was sent, and calls again.
func (ex *Exchange) Wanted() error {
	if ex.Caller == nil || !ex.Caller.Gone() || ex.Waiters != nil && ex.Waiters.Waiting() {
		return nil
	}
	return up.ErrHungUp
}

// Over returns why nobody needs a call's answer any more; nil: somebody does.
// ctx is that of the request to the server.
func (ex *Exchange) Over(ctx context.Context) error {
	switch {
	case ctx.Err() == nil && (ex.Detached || ex.Caller == nil || !ex.Caller.Gone()):
		return nil
	case errors.Is(context.Cause(ctx), ErrStopping):
		return ErrStopping
	}
	return up.ErrHungUp
}

// Broken returns why the request's body could not be read to its end; nil: nothing yet.
func (ex *Exchange) Broken() error { return ex.In.Broken() }

// Cut ends reads of the request's body: the server has gone while the caller sends
// nothing of it.
func (ex *Exchange) Cut() {
	if !ex.In.Ended() { // else nobody waits for the caller
		ex.In.Cut() // first: a read that begins now must see it
		_ = http.NewResponseController(&ex.Answer).SetReadDeadline(time.Unix(1, 0))
	}
}

var _ up.Caller = (*Exchange)(nil)
