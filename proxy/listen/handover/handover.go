// Package handover passes connections from which some bytes were read already to
// another server.
//
//	l := handover.NewListener(addr)
//	go other.Serve(l)
//	taken := l.Give(handover.Conn(c, read, by, nil))
package handover

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"time"
)

// Listener is the listener from which the other server accepts. Make one with
// NewListener. Safe for concurrent use.
type Listener struct {
	addr   net.Addr
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// NewListener returns a Listener whose Addr is addr.
func NewListener(addr net.Addr) *Listener {
	return &Listener{addr: addr, conns: make(chan net.Conn), closed: make(chan struct{})}
}

// Give waits until the other server accepts c. It returns false, and c stays the
// caller's, if the Listener is closed.
func (l *Listener) Give(c net.Conn) bool {
	select {
	case l.conns <- c:
		return true
	case <-l.closed:
		return false
	}
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return l.addr }

// Conn returns a connection whose Read first returns read, the bytes that were read
// from c already, and then goes on with c. by is when the request head that has begun
// must be complete; zero: no limit. secure is the TLS state after the handshake; nil:
// the connection is not on TLS.
func Conn(c net.Conn, read []byte, by time.Time, secure *tls.ConnectionState) net.Conn {
	h := &conn{Conn: c, read: read, by: by}
	if secure != nil {
		return tlsConn{h, *secure}
	}
	return h
}

// conn is a connection from which some bytes were read already.
type conn struct {
	net.Conn
	read []byte    // what Read returns first
	by   time.Time // upper bound of read deadlines for the first head; zero: none, or the head is complete
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	if len(c.read) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.read)
	if c.read = c.read[n:]; len(c.read) == 0 {
		c.read = nil
	}
	return n, nil
}

// SetReadDeadline implements net.Conn. net/http sets the first deadline for the head of
// the first request. Part of that head has arrived before, so its time is already
// running, and by is the later limit.
func (c *conn) SetReadDeadline(at time.Time) error {
	if !c.by.IsZero() {
		if at.IsZero() { // the head is complete
			c.by = time.Time{}
		} else if c.by.Before(at) {
			at = c.by
		}
	}
	return c.Conn.SetReadDeadline(at)
}

// CloseWrite is called by net/http so that a caller can read an early answer to its end.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// ReadFrom lets net/http send large answers without copying.
func (c *conn) ReadFrom(r io.Reader) (int64, error) {
	if to, ok := c.Conn.(io.ReaderFrom); ok {
		return to.ReadFrom(r)
	}
	return io.Copy(struct{ io.Writer }{c.Conn}, r)
}

// NetConn returns the connection that was handed over.
func (c *conn) NetConn() net.Conn { return c.Conn }

// tlsConn is a conn whose TLS handshake is done.
type tlsConn struct {
	*conn
	state tls.ConnectionState
}

// ConnectionState is called by net/http to fill in Request.TLS.
func (c tlsConn) ConnectionState() tls.ConnectionState { return c.state }
