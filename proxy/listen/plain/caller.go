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
	// askEvery is how often a caller's connection is polled while OnGone waits for him
	// to hang up.
	askEvery = 100 * time.Millisecond

	// arrivedWait bounds the wait for a TLS record that has begun to arrive.
	arrivedWait = time.Millisecond
)

// Caller is the peer of a connection that is served here.
type Caller struct{ conn *conn }

type callerKey struct{}

// CallerOf returns the caller of a request that this package serves. It is nil for the
// requests of net/http's server, whose context ends when the caller hangs up.
func CallerOf(ctx context.Context) *Caller {
	c, _ := ctx.Value(callerKey{}).(*Caller)
	return c
}

// Gone reports whether the caller has closed the connection or his half of it, or reset
// it. Any goroutine may call it until the request is over. It polls the socket with
// poll(2), which on Linux sees an end behind unread bytes too. On TLS it also reads
// what has arrived.
func (c *Caller) Gone() bool {
	if c.conn.raw == nil {
		return false
	}
	at := peer.Poll(c.conn.raw)
	return at == peer.Gone || c.conn.tls != nil && c.conn.saidClose(at == peer.Unasked)
}

// saidClose reports whether a caller on TLS has announced the end of his data
// (close_notify), which poll does not see. arrived says that there are bytes in the
// socket. While somebody reads the body, saidClose does nothing: the reader sees the end.
func (c *conn) saidClose(arrived bool) bool {
	if !c.reading.TryLock() {
		return false
	}
	defer c.reading.Unlock()
	if c.ended || c.left > 0 || len(c.buf) == head.MaxPlain {
		return c.ended
	}
	until := time.Unix(1, 0) // reads only what crypto/tls has buffered
	if arrived {
		until = time.Now().Add(arrivedWait)
	}
	if c.SetReadDeadline(until) != nil {
		return true
	}
	err := c.fill() // may read the next request
	c.ended = err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
	_ = c.SetReadDeadline(time.Time{}) // fails for a closed connection only
	return c.ended
}

// OnGone calls f, once and on a goroutine of its own, when the caller has hung up:
// within 100 ms, or at once if Server.Watch is set. stop cancels this. It returns true
// if f was not called and will not be; it does not wait for f. stop must be called
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

// hangUp passes a Watcher's report that a connection's caller has hung up on to the
// watches that wait for it. The zero value belongs to a connection without a Watcher.
type hangUp struct {
	remove func() // ends the watching; nil: there is no Watcher

	mu    sync.Mutex
	gone  bool     // guarded by mu; the Watcher has reported
	known []*watch // guarded by mu; those that wait
}

// watch begins to watch the caller, if the server has a Watcher. It reports whether
// the connection may be served here. It may not if a hang-up could go unnoticed: on TLS
// a caller may hang up within the connection, and the system limits how many
// connections are watched.
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

// unwatch ends the watching. It must precede closing the connection or giving it away.
func (h *hangUp) unwatch() {
	if h.remove != nil {
		h.remove()
	}
}

// happened is called by the Watcher when the caller has hung up.
func (h *hangUp) happened() {
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

// forget undoes tell.
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

// watch is one call of OnGone. It polls the caller every askEvery, or only when the
// Watcher reports.
type watch struct {
	caller *Caller
	f      func()

	mu    sync.Mutex
	timer *time.Timer // guarded by mu; nil: the Watcher reports
	over  bool        // guarded by mu; f or stop was called
}

// look polls the caller, and calls f if he has hung up.
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
