package plain

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"time"

	"powerjob-shim/internal/peer"
	"powerjob-shim/proxy/head"
)

const (
	// askEvery is how often a caller is asked while somebody waits for him to hang up.
	askEvery = 100 * time.Millisecond

	// arrivedWait bounds a read of a TLS record that has begun to arrive.
	arrivedWait = time.Millisecond
)

// Caller is the peer of a connection that is served here.
type Caller struct{ conn *conn }

type callerKey struct{}

// CallerOf returns the caller of a request that is served here, nil for those of
// net/http's server: their context ends when the caller hangs up.
func CallerOf(ctx context.Context) *Caller {
	c, _ := ctx.Value(callerKey{}).(*Caller)
	return c
}

// Gone reports whether the caller has closed the connection or reset it, or has
// closed his half of it. It may be called by any goroutine until the request is
// over. It asks the socket with poll(2), so that an end behind bytes that nobody
// has read is seen (on Linux), and on TLS the connection itself.
func (c *Caller) Gone() bool {
	if c.conn.raw == nil {
		return false
	}
	at := peer.Poll(c.conn.raw)
	return at == peer.Gone || c.conn.tls != nil && c.conn.saidClose(at == peer.Unasked)
}

// saidClose reports whether a caller on TLS has said that nothing more comes
// (close_notify), which poll does not see. arrived: there are bytes in the socket.
// While a body is read, its reader sees that.
func (c *conn) saidClose(arrived bool) bool {
	if !c.reading.TryLock() {
		return false
	}
	defer c.reading.Unlock()
	if c.ended || c.left > 0 || len(c.buf) == head.MaxPlain {
		return c.ended
	}
	until := time.Unix(1, 0) // only what crypto/tls holds itself
	if arrived {
		until = time.Now().Add(arrivedWait)
	}
	if c.SetReadDeadline(until) != nil {
		return true
	}
	err := c.fill() // another request, perhaps
	c.ended = err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
	_ = c.SetReadDeadline(time.Time{}) // fails for a closed connection only
	return c.ended
}

// OnGone has f called, once and on a goroutine of its own, when the caller has hung
// up: within 100 ms, or at once where Server.Watch is set. stop ends that, and reports
// whether f will not be called any more; it does not wait for f. stop must be called
// before the request ends.
func (c *Caller) OnGone(f func()) (stop func() bool) {
	w := &watch{caller: c, f: f}
	if c.conn.hangUp.tell(w) {
		return w.stop
	}
	w.mu.Lock()
	w.timer = time.AfterFunc(askEvery, w.look)
	w.mu.Unlock()
	return w.stop
}

// hangUp is told by a Watcher that a connection's caller has hung up, and tells
// those who wait for that. The zero value is that of a connection without one.
type hangUp struct {
	remove func() // from the Watcher; nil: there is none

	mu    sync.Mutex
	gone  bool     // guarded by mu, as the next
	known []*watch // who waits
}

// watch begins to watch the caller, if the server has a Watcher. It reports whether
// the connection may be served here: not where a hang-up could go unnoticed. On TLS a
// caller may hang up within the connection, and the system bounds what is watched.
func (c *conn) watch() (fit bool) {
	if c.server.watcher == nil {
		return true
	}
	if c.tls != nil || c.raw == nil {
		return false
	}
	var err error
	c.hangUp.remove, err = c.server.watcher.Add(c.raw, c.hangUp.happened)
	return err == nil
}

// unwatch ends the watching, before the connection is closed or given away.
func (h *hangUp) unwatch() {
	if h.remove != nil {
		h.remove()
	}
}

// happened is the Watcher's word that the caller has hung up.
func (h *hangUp) happened() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gone = true
	for _, w := range h.known {
		go w.look()
	}
	h.known = nil
}

// tell has w look when the caller hangs up. It reports whether somebody tells.
func (h *hangUp) tell(w *watch) bool {
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

// forget is tell's end.
func (h *hangUp) forget(w *watch) {
	if h.remove == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := slices.Index(h.known, w); i >= 0 {
		h.known = slices.Delete(h.known, i, i+1)
	}
}

// watch asks a caller now and then, or when it is told to.
type watch struct {
	caller *Caller
	f      func()

	mu    sync.Mutex
	timer *time.Timer // nil: it is told
	over  bool        // f was called, or stop; guarded by mu
}

func (w *watch) look() {
	w.mu.Lock()
	gone := !w.over && w.caller.Gone()
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

func (w *watch) stop() bool {
	w.caller.conn.hangUp.forget(w)
	w.mu.Lock()
	defer w.mu.Unlock()
	in := !w.over
	w.over = true
	if w.timer != nil {
		w.timer.Stop()
	}
	return in
}
