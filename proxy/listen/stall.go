package listen

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"powerjob-shim/internal/socket"
)

// ErrStalled is what writing to a caller fails with that takes nothing.
var ErrStalled = errors.New("the caller took nothing of the answer for stall_timeout")

// clientConn is a caller's connection. CloseWrite is for net/http, which lets a
// caller read an early answer to its end.
type clientConn interface {
	net.Conn
	CloseWrite() error
}

// movingConn is a connection whose peer must take some of what is written to
// it. One that takes a little now and then may be as slow as it likes. It
// stands below TLS, whose records must not break off.
type movingConn struct {
	*socket.Conn
	stall time.Duration

	deadline atomic.Int64 // that of writing, as set here; nanoseconds since 1970; 0: none is set
	foreign  atomic.Bool  // somebody else set a deadline for writing, which counts then
	gone     atomic.Bool  // the peer was let go
}

// Write implements net.Conn.
func (c *movingConn) Write(b []byte) (n int, err error) {
	if c.foreign.Load() {
		return c.Conn.Write(b)
	}
	if c.gone.Load() {
		return 0, ErrStalled
	}
	for moved := time.Now(); ; {
		c.extend(time.Now())
		m, err := c.Conn.Write(b[n:])
		n += m
		if !errors.Is(err, os.ErrDeadlineExceeded) || c.foreign.Load() {
			return n, err
		}
		now := time.Now()
		if m > 0 {
			moved = now
		} else if now.Sub(moved) >= c.stall {
			c.gone.Store(true)
			return n, ErrStalled
		}
		c.deadline.Store(0)
	}
}

// extend sets a deadline for writing, unless the last one is far enough away:
// to set one for each write would cost more than most writes.
func (c *movingConn) extend(now time.Time) {
	if c.deadline.Load()-now.UnixNano() > int64(c.stall/2) {
		return
	}
	until := now.Add(c.stall)
	c.deadline.Store(until.UnixNano())
	_ = c.Conn.SetWriteDeadline(until) // the connection is closed if this fails
}

// SetDeadline implements net.Conn.
func (c *movingConn) SetDeadline(t time.Time) error {
	c.takeOver(t)
	return c.Conn.SetDeadline(t)
}

// SetWriteDeadline implements net.Conn.
func (c *movingConn) SetWriteDeadline(t time.Time) error {
	c.takeOver(t)
	return c.Conn.SetWriteDeadline(t)
}

func (c *movingConn) takeOver(t time.Time) {
	c.foreign.Store(!t.IsZero())
	c.deadline.Store(0)
}

// ReadFrom keeps io.Copy from writing past Write.
func (c *movingConn) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{c}, r)
}

// Moving returns ln with connections whose peers must take some of what is written
// to them within stall; they are let go otherwise.
func Moving(ln net.Listener, stall time.Duration) net.Listener { return movingListener{ln, stall} }

type movingListener struct {
	net.Listener
	stall time.Duration
}

// Accept implements net.Listener.
func (l movingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok && err == nil {
		return &movingConn{Conn: socket.New(tcp), stall: l.stall}, nil
	}
	return c, err
}
