package peer

import (
	"slices"
	"sync"
	"syscall"
	"time"
)

// askEvery is how often a peer is polled that no Watcher watches.
const askEvery = 100 * time.Millisecond

// HangUp calls functions when the peer of one connection has hung up. Its zero value
// polls the peer while a function waits; with Watch, a Watcher tells. It is safe for
// concurrent use, except for Watch.
type HangUp struct {
	remove func() // ends the watching; nil: there is no Watcher

	mu    sync.Mutex
	gone  bool      // guarded by mu; the Watcher has reported
	known []*onGone // guarded by mu; those that wait
}

// Watch has w watch the peer of this socket from now on. It must be called before OnGone.
func (h *HangUp) Watch(w *Watcher, raw syscall.RawConn) (err error) {
	h.remove, err = w.Add(raw, h.happened)
	return err
}

// Unwatch ends the watching. It must precede closing the connection or giving it away.
func (h *HangUp) Unwatch() {
	if h.remove != nil {
		h.remove()
	}
}

// OnGone calls f, once and on a goroutine of its own, when peer.Gone returns true. Gone
// is asked when the Watcher reports a hang-up; without a Watcher every 100 ms. stop
// cancels this. It returns true if f was not called and will not be; it does not wait
// for f.
func (h *HangUp) OnGone(peer interface{ Gone() bool }, f func()) (stop func() bool) {
	w := &onGone{of: h, peer: peer, f: f}
	if h.tell(w) {
		return w.stop
	}
	w.mu.Lock()
	w.timer = time.AfterFunc(askEvery, w.look)
	w.mu.Unlock()
	return w.stop
}

// happened is called by the Watcher when the peer has hung up.
func (h *HangUp) happened() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gone = true
	for _, w := range h.known {
		go w.look()
	}
	h.known = nil
}

// tell makes w look when the Watcher reports a hang-up. It returns false if there is no
// Watcher.
func (h *HangUp) tell(w *onGone) bool {
	if h.remove == nil {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gone {
		go w.look()
	} else {
		h.known = append(h.known, w)
	}
	return true
}

// forget undoes tell.
func (h *HangUp) forget(w *onGone) {
	if h.remove == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := slices.Index(h.known, w); i >= 0 {
		h.known = slices.Delete(h.known, i, i+1)
	}
}

// onGone is one call of OnGone.
type onGone struct {
	of   *HangUp
	peer interface{ Gone() bool }
	f    func()

	mu    sync.Mutex
	timer *time.Timer // guarded by mu; nil: the Watcher reports
	over  bool        // guarded by mu; f or stop was called
}

// look asks the peer, and calls f if it has hung up.
func (w *onGone) look() {
	w.mu.Lock()
	gone := !w.over && w.peer.Gone()
	if gone {
		w.over = true
	}
	if !w.over && w.timer != nil {
		w.timer.Reset(askEvery)
	}
	w.mu.Unlock()
	if gone {
		w.f()
	}
}

func (w *onGone) stop() bool {
	w.of.forget(w)
	w.mu.Lock()
	defer w.mu.Unlock()
	in := !w.over
	w.over = true
	if w.timer != nil {
		w.timer.Stop()
	}
	return in
}
