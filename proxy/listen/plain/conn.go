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

	"powerjob-shim/proxy/head"
)

// soon is how long an unused connection keeps its buffer, and the stack on which its
// last request was served.
const soon = 100 * time.Millisecond

// The states of a connection.
const (
	isNew    int32 = iota // nothing has come yet
	isActive              // in a request
	isIdle                // between two requests
	isClosed              // also: at net/http's server
)

// conn is a connection that is served here. One goroutine serves it. While a
// handler runs, others may read its body or ask for its caller: what they touch is
// guarded by reading.
type conn struct {
	net.Conn
	server   *Server
	template *http.Request // of its requests: it has their context
	remote   string
	tls      *tls.ConnectionState // nil: plain
	raw      syscall.RawConn      // of the socket below; nil: not known

	state  atomic.Int32
	since  time.Time // when it was accepted
	headBy time.Time // when the first request's head must be whole

	until  time.Time   // when the next request's first byte must be here; zero: no limit
	one    [1]byte     // where that byte is read to, while there is no buffer
	hangUp hangUp      // who is to know at once; unused without a Watcher
	served bool        // a request, at least
	timed  atomic.Bool // a handler set a deadline for writing

	reading sync.Mutex           // held by whoever reads while a handler runs
	store   *[head.MaxPlain]byte // what buf is in; nil: there is no buffer
	buf     []byte               // what was read and is not used yet
	ended   bool                 // the caller said on TLS that nothing more comes, or is gone
	left    int64                // bytes of the current request's body to be read
}

var (
	stores  = sync.Pool{New: func() any { return new([head.MaxPlain]byte) }}
	headers = sync.Pool{New: func() any { return http.Header{} }}
)

// serve serves the connection until it ends, or belongs to net/http's server. by is
// when the next request's head must be whole, as for await. sleeps: its first byte
// was not there soon.
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
			go c.serve(by, true) // its stack is small, and this one has grown
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

// What await has found.
type found uint8

const (
	plain found = iota // a plain request
	odd                // something for net/http's server
	over               // the end
	later              // nothing, for now
)

// await waits for the next request's head. by is when it must be whole; zero: the
// time begins with its first byte.
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
				return h, odd // net/http may have something to say before the rest comes
			}
		}
		if len(c.buf) == head.MaxPlain || c.SetReadDeadline(by) != nil || c.fill() != nil {
			return h, odd // net/http's server sees the same
		}
	}
}

// skipBlank skips what may stand between two requests (RFC 9112, 2.2). As with
// net/http, it needs the first bytes of the next one, and says nothing to a caller
// who ends before them.
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

// first waits for a request's first byte, but returns later where it is not there
// soon. It sets by, if that is zero, to when the head must be whole.
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

// firstByte waits a moment for something to come, until by at the latest.
func (c *conn) firstByte(by time.Time) found {
	if c.ended {
		return over
	}
	now := time.Now()
	c.until = by
	if idle := c.server.idleTimeout(); by.IsZero() && idle > 0 {
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

// sleep waits for the first byte without a buffer.
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

// needBuffer makes sure that there is one.
func (c *conn) needBuffer() {
	if c.store == nil {
		c.store = stores.Get().(*[head.MaxPlain]byte)
		c.buf = c.store[:0]
	}
}

// giveBack gives the buffer back, with what is in it.
func (c *conn) giveBack() {
	if c.store != nil {
		stores.Put(c.store)
		c.store, c.buf = nil, nil
	}
}

// fill reads more into the buffer, which must have room. It waits until the
// connection's read deadline.
func (c *conn) fill() error {
	c.needBuffer()
	n := copy(c.store[:], c.buf) // to its beginning
	more, err := c.Conn.Read(c.store[n:])
	c.buf = c.store[:n+more]
	if more > 0 {
		return nil // an error comes again
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// read reads what was read ahead, then from the connection.
func (c *conn) read(p []byte) (int, error) {
	if len(c.buf) > 0 {
		n := copy(p, c.buf)
		c.buf = c.buf[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// rest lets the connection be idle.
func (c *conn) rest() {
	if len(c.buf) == 0 {
		c.state.CompareAndSwap(isActive, isIdle)
		return
	}
	c.state.CompareAndSwap(isActive, isNew) // another request is here already
}

// close closes the connection, from its own goroutine.
func (c *conn) close() {
	c.hangUp.unwatch()
	c.state.Store(isClosed)
	_ = c.Conn.Close() // nothing is left to be said; and no read goes on
	c.reading.Lock()
	c.giveBack()
	c.reading.Unlock()
	c.server.forget(c)
}

// closeIdle closes the connection if it is between two requests, from another
// goroutine. One on which nothing has come yet gets until since.
func (c *conn) closeIdle(since time.Time) {
	if c.state.CompareAndSwap(isIdle, isClosed) || c.since.Before(since) && c.state.CompareAndSwap(isNew, isClosed) {
		_ = c.Conn.Close() // its goroutine sees it
	}
}
