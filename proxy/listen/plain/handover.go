package plain

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"time"
)

// handOver gives the connection to net/http's server, with what was read of it. by
// is when the head that has begun must be whole; zero: as await found.
func (c *conn) handOver(by time.Time) {
	if by.IsZero() {
		by = c.headBy
	}
	h := &handedConn{Conn: c.Conn, read: append([]byte(nil), c.buf...), by: by}
	c.hangUp.unwatch()
	c.state.Store(isClosed)
	c.giveBack()
	given := net.Conn(h)
	if c.tls != nil {
		given = handedTLSConn{h, *c.tls}
	}
	if !c.server.handed.give(given) {
		_ = c.Conn.Close() // the server has stopped
	}
	c.server.forget(c)
}

// handedConn is a connection of which something was read.
type handedConn struct {
	net.Conn
	read []byte    // comes first
	by   time.Time // no later than this ends the first read deadline; zero: it was set
}

// Read implements net.Conn.
func (c *handedConn) Read(p []byte) (int, error) {
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
func (c *handedConn) SetReadDeadline(at time.Time) error {
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
func (c *handedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// ReadFrom lets net/http send large answers without copying.
func (c *handedConn) ReadFrom(r io.Reader) (int64, error) {
	if to, ok := c.Conn.(io.ReaderFrom); ok {
		return to.ReadFrom(r)
	}
	return io.Copy(struct{ io.Writer }{c.Conn}, r)
}

// NetConn returns the connection as it was accepted.
func (c *handedConn) NetConn() net.Conn { return c.Conn }

// handedTLSConn has shaken hands.
type handedTLSConn struct {
	*handedConn
	state tls.ConnectionState
}

// ConnectionState is where net/http has Request.TLS from.
func (c handedTLSConn) ConnectionState() tls.ConnectionState { return c.state }

// handedListener is where net/http's server gets its connections from.
type handedListener struct {
	addr   net.Addr
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newHandedListener(addr net.Addr) *handedListener {
	return &handedListener{addr: addr, conns: make(chan net.Conn), closed: make(chan struct{})}
}

// give reports whether the connection was taken.
func (l *handedListener) give(c net.Conn) bool {
	select {
	case l.conns <- c:
		return true
	case <-l.closed:
		return false
	}
}

// Accept implements net.Listener.
func (l *handedListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *handedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *handedListener) Addr() net.Addr { return l.addr }
