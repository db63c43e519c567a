package proxy

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	up "powerjob-shim/proxy/upstream"
	"powerjob-shim/rules/dedup"
)

// waiters counts who waits for which leader. The zero value is ready to use.
type waiters struct {
	mu sync.Mutex
	of map[dedup.ID]int // guarded by mu
}

func (w *waiters) add(leader dedup.ID, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.of == nil {
		w.of = map[dedup.ID]int{}
	}
	if w.of[leader] += n; w.of[leader] <= 0 {
		delete(w.of, leader)
	}
}

func (w *waiters) any(leader dedup.ID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.of[leader] > 0
}

// Wanted is asked just before a call's first byte is written to a server. An
// error: the caller has gone and nobody else waits for the answer, so that the
// call must not be sent: its client is on the way to another address, where it
// would be carried out a second time. A caller that has closed its sending side
// only counts as gone: nobody can tell the two apart. A caller that waits on another replica
// is not known here; they get no answer, and call again.
func (ex *exchange) Wanted() error {
	if ex.caller == nil || !ex.caller.Gone() || ex.waiters != nil && ex.waiters.any(ex.leads) {
		return nil
	}
	return up.ErrHungUp
}

// Over returns why nobody needs a call's answer any more; nil: somebody does.
// ctx is that of the request to the server.
func (ex *exchange) Over(ctx context.Context) error {
	switch {
	case ctx.Err() == nil && (ex.detached || ex.caller == nil || !ex.caller.Gone()):
		return nil
	case errors.Is(context.Cause(ctx), errStopping):
		return errStopping
	}
	return up.ErrHungUp
}

// Broken returns why the request's body could not be read to its end; nil: nothing yet.
func (ex *exchange) Broken() error { return ex.in.Broken() }

// Cut ends reads of the request's body: the server has gone while the caller sends
// nothing of it.
func (ex *exchange) Cut() {
	if !ex.in.Ended() { // else nobody waits for the caller
		ex.in.Cut() // first: a read that begins now must see it
		_ = http.NewResponseController(&ex.answer).SetReadDeadline(time.Unix(1, 0))
	}
}

var _ up.Caller = (*exchange)(nil)
