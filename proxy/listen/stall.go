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

// ErrStalled is the error of writing to a caller who reads nothing for the stall timeout.
var ErrStalled = errors.New("the caller took nothing of the answer for stall_timeout")

// clientConn is a caller's connection. net/http calls CloseWrite so that the caller can
// read an early answer to its end.
type clientConn interface {
	net.Conn
	CloseWrite() error
}

// movingConn is a connection whose peer must read something of what is written to it
// within stall. A peer that reads a little now and then may be as slow as it likes. It
// is below TLS, because a TLS record must be written as a whole.
type movingConn struct {
	*socket.Conn
	stall time.Duration

	deadline atomic.Int64 // write deadline set here, in Unix nanoseconds; 0: none
	foreign  atomic.Bool  // somebody else set a write deadline, which is used instead
	gone     atomic.Bool  // the peer stalled: all writes fail
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

// extend sets a write deadline, unless the last one is far enough away: setting one for
// each write would cost more than most writes.
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

// ReadFrom makes io.Copy use Write, not the socket's own ReadFrom.
func (c *movingConn) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{c}, r)
}

// Moving wraps ln. A write to one of its connections fails with ErrStalled if the peer
// reads nothing for stall.
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
