package proxy

import (
	"sync"

	"powerjob-shim/internal/peer"
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

// wanted is asked just before a call's first byte is written to a server. An
// error: the caller has gone and nobody else waits for the answer, so that the
// call must not be sent: its client is on the way to another address, where it
// would be carried out a second time. A caller that has closed its sending side
// only counts as gone: nobody can tell the two apart. A caller that waits on another replica
// is not known here; they get no answer, and call again.
func (ex *exchange) wanted() error {
	if ex.caller == nil || !ex.caller.Gone() || ex.waiters != nil && ex.waiters.any(ex.leads) {
		return nil
	}
	return errHungUp
}

// gone reports whether the connection's caller has closed it. p may be nil.
func (p *place) gone() bool { return p != nil && p.raw != nil && peer.Poll(p.raw) == peer.Gone }
