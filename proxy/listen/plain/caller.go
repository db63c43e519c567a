package plain

import (
	"context"
	"errors"
	"os"
	"time"

	"powerjob-shim/internal/peer"
	"powerjob-shim/proxy/head"
)

// arrivedWait bounds the wait for a TLS record that has begun to arrive.
const arrivedWait = time.Millisecond

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
func (c *Caller) OnGone(f func()) (stop func() bool) { return c.conn.hangUp.OnGone(c, f) }

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
	return c.hangUp.Watch(c.server.watcher, c.raw) == nil
}
