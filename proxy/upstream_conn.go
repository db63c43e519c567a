package proxy

import (
	"context"
	"io"
	"net"
	"net/http/httptrace"
	"sync/atomic"
	"syscall"
)

// upstreamConn is a connection to a server that knows what was written to it,
// and does not write to a server that has gone.
//
// A server that stops closes its idle connections. net/http learns of it when
// the goroutine that reads gets its turn; a call that is written in between is
// lost, and nobody knows whether it was executed. OkHttp looks before it writes
// (RealConnection.isHealthy), and so does this: net/http takes a failed first
// write for a stale connection and uses another one, as nothing was sent.
type upstreamConn struct {
	*net.TCPConn
	raw   syscall.RawConn
	wrote atomic.Int64 // bytes, counted before the server can have them
	idle  atomic.Bool  // since the last write something was read: the next write may begin a request
}

// Read implements net.Conn.
func (c *upstreamConn) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	if n > 0 {
		c.idle.Store(true)
	}
	return n, err
}

// Write implements net.Conn. It fails before the first byte if the server has
// closed the connection.
func (c *upstreamConn) Write(p []byte) (int, error) {
	if c.idle.CompareAndSwap(true, false) && c.gone() {
		return 0, net.ErrClosed
	}
	c.wrote.Add(int64(len(p))) // first: whoever sees the answer must see that it was sent
	n, err := c.TCPConn.Write(p)
	c.wrote.Add(int64(n - len(p)))
	return n, err
}

// ReadFrom implements io.ReaderFrom: net/http uses it for large bodies, after the
// first write.
func (c *upstreamConn) ReadFrom(r io.Reader) (int64, error) {
	n, err := c.TCPConn.ReadFrom(r)
	c.wrote.Add(n)
	return n, err
}

// watched makes dial's connections upstreamConns.
func watched(dial func(ctx context.Context, network, addr string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		tcp, ok := c.(*net.TCPConn)
		if err != nil || !ok {
			return c, err
		}
		raw, err := tcp.SyscallConn()
		return &upstreamConn{TCPConn: tcp, raw: raw}, err // an error only of a connection that is not one
	}
}

// sent tells whether any byte of a request may have left. A Transport that
// tries several connections uses them one after the other.
type sent struct {
	conn   *upstreamConn // the last one that was had; nil: none that counts
	before int64         // what had been written to it by then
	maybe  bool          // on an earlier connection, or on one that does not count, or it was answered
}

// got is the GotConn of a ClientTrace.
func (s *sent) got(info httptrace.GotConnInfo) {
	s.maybe = s.any()
	raw := info.Conn
	if secure, ok := raw.(interface{ NetConn() net.Conn }); ok {
		raw = secure.NetConn()
	}
	var counts bool
	if s.conn, counts = raw.(*upstreamConn); counts {
		s.before = s.conn.wrote.Load()
	} else {
		s.maybe = true
	}
}

func (s *sent) any() bool { return s.maybe || s.conn != nil && s.conn.wrote.Load() != s.before }
