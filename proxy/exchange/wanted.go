package exchange

import (
	"context"
	"errors"
	"net/http"
	"time"

	up "powerjob-shim/proxy/upstream"
)

// Wanted is called just before a call's first byte is written to a server. It returns
// an error if the caller has hung up and nobody else waits for the answer. The call must
// then not be sent: its client is about to send it to another address, where it would
// be executed a second time. A caller that has closed only its sending side counts as
// hung up, because the two look the same. Callers who wait on another replica are not
// known here: each is told that nothing was sent, and calls again.
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
	if !ex.In.Ended() { // else nothing is read any more
		ex.In.Cut() // before the deadline, so that a read that begins between the two fails too
		_ = http.NewResponseController(&ex.Answer).SetReadDeadline(time.Unix(1, 0))
	}
}

var _ up.Caller = (*Exchange)(nil)
