package plain

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"powerjob-shim/internal/peer"
	"powerjob-shim/proxy/head"
)

// soon is how long an unused connection keeps its buffer and its goroutine, whose stack
// has grown.
const soon = 100 * time.Millisecond

// The states of a connection.
const (
	isNew    int32 = iota // nothing has come yet
	isActive              // in a request
	isIdle                // between two requests
	isClosed              // closed, or handed over to net/http's server
)

// conn is a connection that is served here. One goroutine serves it. While a
// handler runs, other goroutines may read the body or poll the caller: reading guards
// the fields that they use.
type conn struct {
	net.Conn
	server   *Server
	template *http.Request // has the context of all requests; each begins as a copy of it
	remote   string
	tls      *tls.ConnectionState // nil: not on TLS
	raw      syscall.RawConn      // of the socket below; nil: not known

	state  atomic.Int32
	since  time.Time // when it was accepted
	headBy time.Time // when the current request's head must be complete

	until  time.Time   // when the next request's first byte must be here; zero: no limit
	one    [1]byte     // receives that byte while there is no buffer
	hangUp peer.HangUp // polls without a Watcher
	served bool        // at least one request was served
	timed  atomic.Bool // a handler set a write deadline

	reading sync.Mutex           // held by whoever reads while a handler runs; guards what follows
	store   *[head.MaxPlain]byte // backs buf; nil: there is no buffer
	buf     []byte               // read from the connection, and not used yet
	ended   bool                 // the caller has announced the end of his data on TLS, or is gone
	left    int64                // unread bytes of the current request's body
}

var (
	stores  = sync.Pool{New: func() any { return new([head.MaxPlain]byte) }}
	headers = sync.Pool{New: func() any { return http.Header{} }}
)

// serve serves the connection until it ends or is handed over to net/http's server. by
// is when the next request's head must be complete, as for await. sleeps says that the
// next request's first byte did not come soon, so that serve waits without a buffer.
func (c *conn) serve(by time.Time, sleeps bool) {
	defer func() {
		if broken := recover(); broken != nil {
			if err, ok := broken.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				stack := make([]byte, 64<<10)
				c.server.logf("panic serving %s: %v\n%s", c.remote, broken, stack[:runtime.Stack(stack, false)])
			}
			c.close()
		}
	}()
	if sleeps && !c.sleep() {
		c.close()
		return
	}
	for {
		h, at := c.await(by)
		switch at {
		case later:
			go c.serve(by, true) // on a new, small stack: this one has grown
			return
		case over:
			c.close()
			return
		case odd:
			c.handOver(by)
			return
		}
		if !c.request(c.parse(h), h) || c.server.stopping.Load() {
			c.close()
			return
		}
		c.rest()
		by = time.Time{}
	}
}

// found is what await has found.
type found uint8

const (
	plain found = iota // a plain request
	odd                // something for net/http's server
	over               // the end of the connection
	later              // nothing yet
)

// await waits for the next request's head. by is when the head must be complete; zero:
// the head timeout starts with the first byte.
func (c *conn) await(by time.Time) (h head.Plain, at found) { //nolint:gocognit // one loop, whose tests need this order
	if at := c.first(&by); at != plain {
		return h, at
	}
	c.headBy = by
	if c.served && !c.skipBlank(by) {
		return h, over
	}
	for {
		if n := min(len(c.buf), len(head.Method)); string(c.buf[:n]) != head.Method[:n] {
			return h, odd
		}
		if end := bytes.Index(c.buf, head.End); end >= 0 {
			h, ok := head.ReadPlain(c.buf[:end+len(head.End)], true)
			if !ok || !c.server.Plain(h.Target, h.Length) {
				return h, odd
			}
			return h, plain
		}
		if lines := bytes.LastIndexByte(c.buf, '\n') + 1; lines > 0 {
			if _, ok := head.ReadPlain(c.buf[:lines], false); !ok {
				return h, odd // net/http may answer before the rest of the head comes
			}
		}
		if len(c.buf) == head.MaxPlain || c.SetReadDeadline(by) != nil || c.fill() != nil {
			return h, odd // net/http's server meets the same problem, and deals with it
		}
	}
}

// skipBlank skips empty lines between two requests (RFC 9112, 2.2). Like net/http, it
// waits for the first four bytes of the next request, and closes the connection without
// an answer if they do not come.
func (c *conn) skipBlank(by time.Time) bool {
	const needed = 4
	for len(c.buf) < needed {
		if c.SetReadDeadline(by) != nil || c.fill() != nil {
			return false
		}
	}
	blank := 0
	for blank < needed && (c.buf[blank] == '\r' || c.buf[blank] == '\n') {
		blank++
	}
	c.buf = c.buf[blank:]
	return true
}

// first waits for a request's first byte, and returns later if it does not come soon.
// If by is zero, first sets it to when the head must be complete.
func (c *conn) first(by *time.Time) found {
	if len(c.buf) == 0 {
		if at := c.firstByte(*by); at != plain {
			return at
		}
	}
	if !c.state.CompareAndSwap(isIdle, isActive) && !c.state.CompareAndSwap(isNew, isActive) {
		return over // it was closed while it was idle
	}
	if by.IsZero() {
		*by = time.Now().Add(c.server.headTimeout())
	}
	return plain
}

// firstByte waits a moment for the first byte, until by at the latest. It returns later,
// and gives the buffer back, if none came.
func (c *conn) firstByte(by time.Time) found {
	if c.ended {
		return over
	}
	now := time.Now()
	c.until = by
	if idle := c.server.HTTP.IdleTimeout; by.IsZero() && idle > 0 {
		c.until = now.Add(idle)
	}
	wait := now.Add(soon)
	if !c.until.IsZero() && c.until.Before(wait) {
		wait = c.until
	}
	if c.SetReadDeadline(wait) != nil {
		return over
	}
	err := c.fill()
	if err == nil {
		return plain
	}
	if wait.Equal(c.until) || !errors.Is(err, os.ErrDeadlineExceeded) {
		return over
	}
	c.giveBack()
	return later
}

// sleep waits for the first byte without a buffer. It returns false if the connection
// ends first.
func (c *conn) sleep() bool {
	if c.SetReadDeadline(c.until) != nil {
		return false
	}
	if n, _ := c.Conn.Read(c.one[:]); n == 0 {
		return false
	}
	c.needBuffer()
	c.buf = append(c.store[:0], c.one[0])
	return true
}

// needBuffer makes sure that there is a buffer.
func (c *conn) needBuffer() {
	if c.store == nil {
		c.store = stores.Get().(*[head.MaxPlain]byte)
		c.buf = c.store[:0]
	}
}

// giveBack gives the buffer back; what is in it is lost.
func (c *conn) giveBack() {
	if c.store != nil {
		stores.Put(c.store)
		c.store, c.buf = nil, nil
	}
}

// fill reads more into the buffer, which must have room. It waits at most until the
// connection's read deadline.
func (c *conn) fill() error {
	c.needBuffer()
	n := copy(c.store[:], c.buf) // to its beginning
	more, err := c.Conn.Read(c.store[n:])
	c.buf = c.store[:n+more]
	if more > 0 {
		return nil // the next Read returns the error again
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// read returns bytes of the buffer, or reads from the connection if that is empty.
func (c *conn) read(p []byte) (int, error) {
	if len(c.buf) > 0 {
		n := copy(p, c.buf)
		c.buf = c.buf[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// rest marks the connection as between two requests.
func (c *conn) rest() {
	if len(c.buf) == 0 {
		c.state.CompareAndSwap(isActive, isIdle)
		return
	}
	c.state.CompareAndSwap(isActive, isNew) // another request is here already
}

// close closes the connection, from its own goroutine.
func (c *conn) close() {
	c.hangUp.Unwatch()
	c.state.Store(isClosed)
	_ = c.Conn.Close() // also ends reads, so that reading becomes free
	c.reading.Lock()
	c.giveBack()
	c.reading.Unlock()
	c.server.forget(c)
}

// closeIdle closes the connection if it is between two requests, or if nothing has come
// on it and it was accepted before since. Goroutines other than its own call it.
func (c *conn) closeIdle(since time.Time) {
	if c.state.CompareAndSwap(isIdle, isClosed) || c.since.Before(since) && c.state.CompareAndSwap(isNew, isClosed) {
		_ = c.Conn.Close() // its goroutine sees it
	}
}
