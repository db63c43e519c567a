package conversation

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"powerjob-shim/internal/peer"
)

const (
	// maxHead bounds an answer's head, with the informational ones before it. What
	// arrives together with its last bytes does not count.
	maxHead = 64 << 10

	// maxInformational bounds the informational answers before the final one.
	maxInformational = 8

	// turn is how long a call waits before it looks whether it still has to.
	turn = 500 * time.Millisecond

	// writeTurn is the same while a server does not take a large request. It may
	// have answered already, and then does not read on.
	writeTurn = 20 * time.Millisecond

	// readBuffer is enough for most answers.
	readBuffer = 4 << 10
)

var (
	errHeadTooLarge = errors.New("the head of the server's answer is larger than 64 KiB, of a stream 1 MiB")
	errStopReading  = errors.New("the server does not read the request any more")
)

// timeoutError is the error of a wait that took too long.
type timeoutError struct{ what string }

func (e *timeoutError) Error() string   { return "timed out " + e.what }
func (e *timeoutError) Timeout() bool   { return true }
func (e *timeoutError) Temporary() bool { return true }

// Unwrap lets errors.Is find what a context says.
func (e *timeoutError) Unwrap() error { return context.DeadlineExceeded }

// conn is a connection to a server. It belongs to the goroutine whose call it is in.
type conn struct {
	net.Conn // what requests are written to: the wire, or TLS on it
	wire     *wire
	r        *bufio.Reader // reads from arriving
	pool     *Pool
	server   string // host:port

	idleSince time.Time

	// Of the call that it is in:
	until   time.Time                 // when its wait is over; zero: never
	limit   atomic.Pointer[time.Time] // the same for a stream's head; nil: never
	patient bool                      // a stream's: it goes on writing though the server has said something
	taking  taking                    // of a stream's writing goroutine
	watch   func() error              // nil: nobody is asked
	ended   error                     // why it did not wait any longer; parsers may hide it
	heard   *bytes.Buffer             // gets what arrives; nil: nobody asks
	head    int                       // bytes that the head may still have; below 0: the head is over
}

// open connects to a server.
func (p *Pool) open(ctx context.Context, server string) (*conn, error) {
	var w *wire
	top, err := p.Connect(ctx, server, func(c net.Conn) net.Conn {
		w = newWire(c)
		return w
	})
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: top, wire: w, pool: p, server: server}
	c.r = bufio.NewReaderSize(arriving{c}, readBuffer)
	w.waits = c.stalled
	return c, nil
}

// quiet reports whether a request may be written: the server has neither gone nor
// sent what nobody asked for.
func (c *conn) quiet() bool {
	state := peer.Quiet
	if c.Conn == net.Conn(c.wire) {
		state = c.wire.state()
	} else {
		state = peer.Look(c.Conn)
	}
	if state == peer.Unasked || c.r.Buffered() > 0 {
		c.suspect()
		return false
	}
	return state == peer.Quiet
}

// suspect tells of bytes that nobody asked for.
func (c *conn) suspect() {
	if c.pool.Suspect != nil {
		c.pool.Suspect(c.server)
	}
}

// begin starts a call's waiting. large: the request may not fit into what the
// network takes at once.
func (c *conn) begin(until time.Time, watch func() error, large bool) {
	c.until, c.watch, c.head, c.ended, c.patient = until, watch, maxHead, nil, false
	first := turn
	if large {
		first = writeTurn
	}
	_ = c.SetDeadline(c.next(first)) // a connection that has ended says so when it is used
}

// next returns when a wait of at most d must look around.
func (c *conn) next(d time.Duration) time.Time {
	at := time.Now().Add(d)
	if !c.until.IsZero() && c.until.Before(at) {
		at = c.until
	}
	if limit := c.limit.Load(); limit != nil && limit.Before(at) {
		at = *limit
	}
	return at
}

// look returns why a call must not wait any longer.
func (c *conn) look() error {
	limit := c.limit.Load()
	if !c.until.IsZero() && !time.Now().Before(c.until) || limit != nil && !time.Now().Before(*limit) {
		return &timeoutError{"waiting for the server"}
	}
	if c.watch != nil {
		return c.watch()
	}
	return nil
}

// taking is how a server takes a request whose body comes as its caller sends it.
type taking struct {
	within time.Duration // it must take something within that; 0: no limit
	sent   int64         // bytes that had left when it was looked at last; -1: not yet
	since  time.Time     // when that number was new
}

// over reports whether the server has taken nothing for too long. sent is how many
// bytes have left until now.
func (t *taking) over(sent int64) bool {
	if t.within <= 0 {
		return false
	}
	if sent != t.sent {
		t.sent, t.since = sent, time.Now()
	}
	return time.Since(t.since) >= t.within
}

// stalled is called while the server takes nothing of a request.
func (c *conn) stalled() error {
	if c.patient && c.taking.over(c.wire.sent.Load()) {
		now := time.Now()
		c.limit.Store(&now) // the reading goroutine sees it at its next look round
	}
	if err := c.look(); err != nil {
		return err
	}
	if !c.patient && c.wire.state() != peer.Quiet {
		return errStopReading // it has answered, or has gone
	}
	return c.SetWriteDeadline(c.next(writeTurn))
}

// arriving is what comes from the server. Its Read looks around while it waits,
// so that no parser sees that.
type arriving struct{ *conn }

func (c arriving) Read(p []byte) (int, error) {
	if c.head == 0 {
		return 0, errHeadTooLarge
	}
	for {
		n, err := c.Conn.Read(p)
		if n > 0 && c.head > 0 {
			c.head = max(c.head-n, 0)
			if c.heard != nil {
				c.heard.Write(p[:n])
			}
		}
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if c.ended = c.look(); c.ended != nil {
			return 0, c.ended
		}
		if err := c.SetReadDeadline(c.next(turn)); err != nil {
			return 0, err
		}
	}
}

// end gives the connection back at an answer's exact end, or closes it.
func (c *conn) end(reusable bool) {
	unasked := reusable && c.r.Buffered() > 0
	if unasked {
		c.suspect()
	}
	if !reusable || unasked || c.pool.Trusted != nil && !c.pool.Trusted(c.server) {
		_ = c.Close() // nothing is left to be said
		return
	}
	c.watch = nil
	c.pool.put(c)
}

// body is an answer's body. At its end the connection is given back.
type body struct {
	io.ReadCloser // as net/http has it
	conn          *conn
	reusable      bool
	settle        func(whole bool) bool // ends what else goes on, and says whether the connection is fit to be kept; nil: nothing does
	over          bool
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if b.over {
		return 0, io.EOF
	}
	n, err := b.ReadCloser.Read(p)
	if n > 0 && err == io.EOF && b.settle != nil {
		return n, nil // settle may take a while: the caller gets this first
	}
	if err != nil {
		if b.conn.ended != nil {
			err = b.conn.ended
		}
		b.finish(err == io.EOF)
	}
	return n, err
}

// Close implements io.Closer. A body that was not read to its end costs the
// connection.
func (b *body) Close() error {
	if !b.over {
		b.finish(false)
	}
	return nil
}

// finish ends the answer; whole: it was read to its exact end.
func (b *body) finish(whole bool) {
	b.over = true
	if b.settle != nil {
		whole = b.settle(whole)
	}
	b.conn.end(whole && b.reusable)
}

// Buffered returns how many bytes are here that Read has not returned yet.
func (b *body) Buffered() int {
	if b.over {
		return 0
	}
	return b.conn.r.Buffered()
}
