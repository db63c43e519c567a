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
	// maxHead bounds an answer's head together with the informational answers before
	// it, in bytes. Bytes that arrive in one read with the head's end do not count.
	maxHead = 64 << 10

	// maxInformational bounds the informational answers before the final one.
	maxInformational = 8

	// turn is how often a waiting call checks whether it must still wait.
	turn = 500 * time.Millisecond

	// writeTurn is the same while a server does not read on in a large request. The
	// server may have answered already, and never read on.
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

// conn is a connection to a server. It belongs to the goroutine that uses it for a call.
type conn struct {
	net.Conn // requests are written to it: the wire, or TLS on the wire
	wire     *wire
	r        *bufio.Reader // reads from arriving
	pool     *Pool
	server   string // host:port

	idleSince time.Time

	// State of the current call:
	until   time.Time                 // when its wait is over; zero: never
	limit   atomic.Pointer[time.Time] // when a stream's wait for the head is over; nil: never
	patient bool                      // for a stream: writing goes on although the server has sent something
	taking  taking                    // used by a stream's writing goroutine only
	watch   func() error              // see Call.Watch; nil: there is none
	ended   error                     // why the wait was given up; kept because parsers may hide it
	heard   *bytes.Buffer             // gets a copy of the head as it arrives; nil: not needed
	head    int                       // bytes that the head may still have; below 0: the head is complete
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

// suspect reports bytes that nobody asked for.
func (c *conn) suspect() {
	if c.pool.Suspect != nil {
		c.pool.Suspect(c.server)
	}
}

// begin sets the connection up for a call. large says that the request may not fit into
// the network's buffers.
func (c *conn) begin(until time.Time, watch func() error, large bool) {
	c.until, c.watch, c.head, c.ended, c.patient = until, watch, maxHead, nil, false
	first := turn
	if large {
		first = writeTurn
	}
	_ = c.SetDeadline(c.next(first)) // a connection that has ended says so when it is used
}

// next returns when a wait must be interrupted to look: in d, or earlier if the call's
// time ends before that.
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

// look returns why a call must not wait any longer; nil: it may.
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

// taking notices that a server has stopped reading a streamed request.
type taking struct {
	within time.Duration // the longest time without a byte leaving; 0: no limit
	sent   int64         // bytes that had left at the last look; -1: there was none
	since  time.Time     // when sent changed last
}

// over reports whether nothing has left for too long. sent is how many bytes have left
// until now.
func (t *taking) over(sent int64) bool {
	if t.within <= 0 {
		return false
	}
	if sent != t.sent {
		t.sent, t.since = sent, time.Now()
	}
	return time.Since(t.since) >= t.within
}

// stalled is called while the server reads nothing of a request. An error ends the write.
func (c *conn) stalled() error {
	if c.patient && c.taking.over(c.wire.sent.Load()) {
		now := time.Now()
		c.limit.Store(&now) // the reading goroutine notices at its next look
	}
	if err := c.look(); err != nil {
		return err
	}
	if !c.patient && c.wire.state() != peer.Quiet {
		return errStopReading // it has answered, or has gone
	}
	return c.SetWriteDeadline(c.next(writeTurn))
}

// arriving reads from the server. While it waits, its Read looks whether the call must
// still wait, without its reader noticing.
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

// end gives the connection back to the pool if reusable, which needs an answer that was
// read to its exact end. Otherwise it closes the connection.
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
	reusable      bool                  // the connection may be kept if the body is read to its end
	settle        func(whole bool) bool // ends a stream's other goroutine, and reports whether the connection may be kept; nil: not a stream
	over          bool                  // finish was called
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

// Close implements io.Closer. The connection is lost if the body was not read to its end.
func (b *body) Close() error {
	if !b.over {
		b.finish(false)
	}
	return nil
}

// finish ends the answer. whole says that it was read to its exact end.
func (b *body) finish(whole bool) {
	b.over = true
	if b.settle != nil {
		whole = b.settle(whole)
	}
	b.conn.end(whole && b.reusable)
}

// Buffered returns how many bytes Read can return without waiting.
func (b *body) Buffered() int {
	if b.over {
		return 0
	}
	return b.conn.r.Buffered()
}
