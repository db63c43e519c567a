package upstream

import (
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"

	"powerjob-shim/internal/peer"
)

// Watched is a connection to a server that knows what was written to it, and does
// not write to a server that has gone.
//
// A server that stops closes its idle connections. net/http learns of it when
// the goroutine that reads gets its turn; a call that is written in between is
// lost, and nobody knows whether it was executed. OkHttp looks before it writes
// (RealConnection.isHealthy), and so does this: net/http takes a failed first
// write for a stale connection and uses another one, as nothing was sent.
type Watched struct {
	*net.TCPConn
	raw     syscall.RawConn
	of      *Server
	to      netip.Addr
	wrote   atomic.Int64 // bytes, counted before the server can have them
	idle    atomic.Bool  // since the last write something was read: the next write may begin a request
	retired atomic.Bool
	// refused: a request was not written, and nothing is any more. What crypto/tls
	// writes as it closes would else count as the request's.
	refused atomic.Bool
}

// Wrote returns how many bytes may have left. It counts them before they do.
func (c *Watched) Wrote() int64 { return c.wrote.Load() }

// Retired reports whether no further request should be written: the server's
// name does not lead to this address any more.
func (c *Watched) Retired() bool { return c.retired.Load() }

func (c *Watched) retire() { c.retired.Store(true) }

// Read implements net.Conn.
func (c *Watched) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	if n > 0 {
		c.idle.Store(true)
	}
	return n, err
}

// Write implements net.Conn. It fails before the first byte of a request if the
// server has closed the connection, or the connection is retired.
func (c *Watched) Write(p []byte) (int, error) {
	if c.refused.Load() {
		return 0, net.ErrClosed
	}
	if c.idle.CompareAndSwap(true, false) && (c.Retired() || peer.Poll(c.raw) == peer.Gone) {
		c.refused.Store(true)
		return 0, net.ErrClosed
	}
	c.wrote.Add(int64(len(p))) // first: whoever sees the answer must see that it was sent
	n, err := c.TCPConn.Write(p)
	c.wrote.Add(int64(n - len(p)))
	return n, err
}

// ReadFrom implements io.ReaderFrom: net/http uses it for large bodies, after the
// first write.
func (c *Watched) ReadFrom(r io.Reader) (int64, error) {
	n, err := c.TCPConn.ReadFrom(r)
	c.wrote.Add(n)
	return n, err
}

// Close implements net.Conn.
func (c *Watched) Close() error {
	c.of.closed(c)
	return c.TCPConn.Close()
}
