// Package handover hands connections, of which some bytes have been read already, over
// to another server.
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

// Listener is where the other server gets its connections from. Make one with
// NewListener. Safe for concurrent use.
type Listener struct {
	addr   net.Addr
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// NewListener returns a Listener at an address.
func NewListener(addr net.Addr) *Listener {
	return &Listener{addr: addr, conns: make(chan net.Conn), closed: make(chan struct{})}
}

// Give hands a connection over, and reports whether it was taken: it is not once the
// Listener is closed.
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

// Conn returns a connection whose Read returns read, which was read from c already,
// and then what follows. by is when the head that has begun must be whole; zero: no
// limit. secure is the TLS state of a connection that has shaken hands; nil: it is
// plain.
func Conn(c net.Conn, read []byte, by time.Time, secure *tls.ConnectionState) net.Conn {
	h := &conn{Conn: c, read: read, by: by}
	if secure != nil {
		return tlsConn{h, *secure}
	}
	return h
}

// conn is a connection of which something was read.
type conn struct {
	net.Conn
	read []byte    // comes first
	by   time.Time // no later than this ends the first read deadline; zero: it was set
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

// SetReadDeadline implements net.Conn. net/http sets the first one for the head of
// the first request, some of which is here: its time began before.
func (c *conn) SetReadDeadline(at time.Time) error {
	if !c.by.IsZero() {
		if at.IsZero() { // the head is whole
			c.by = time.Time{}
		} else if c.by.Before(at) {
			at = c.by
		}
	}
	return c.Conn.SetReadDeadline(at)
}

// CloseWrite is how net/http lets a caller read an answer that came early.
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

// NetConn returns the connection as it was accepted.
func (c *conn) NetConn() net.Conn { return c.Conn }

// tlsConn has shaken hands.
type tlsConn struct {
	*conn
	state tls.ConnectionState
}

// ConnectionState is where net/http has Request.TLS from.
func (c tlsConn) ConnectionState() tls.ConnectionState { return c.state }
