package upstream

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"

	"powerjob-shim/internal/peer"
)

// Watched is a connection for net/http's Transport that knows what was written to
// it, and does not write a request to a server that has gone.
//
// A server that stops closes its idle connections. net/http learns of it when
// the goroutine that reads gets its turn; a call that is written in between is
// lost, and nobody knows whether it was executed. OkHttp looks before it writes
// (RealConnection.isHealthy), and so does this: net/http takes a failed first
// write for a stale connection and uses another one, as nothing was sent.
//
// A server may answer before it has read the whole request, and close. What is
// still to be written is then dropped without an error, so that the answer can be
// read: net/http gives an exchange up whose writing failed.
type Watched struct {
	*net.TCPConn
	raw     syscall.RawConn
	of      *Server
	to      netip.Addr
	wrote   atomic.Int64           // bytes, counted before the server can have them
	start   atomic.Int64           // what had been written when the request began
	begins  atomic.Bool            // the next write begins a request
	broken  atomic.Bool            // a write failed in the middle of a request
	retired atomic.Bool            // see Retired
	ended   atomic.Pointer[func()] // see Begin
	// refused: a request was not written, and nothing is any more. What crypto/tls
	// writes as it closes would else count as the request's.
	refused atomic.Bool
}

// Wrote returns how many bytes may have left. It counts them before they do.
func (c *Watched) Wrote() int64 { return c.wrote.Load() }

// Retired reports whether no further request should be written: the server's
// name does not lead to this address any more, or it sent what nobody asked for.
func (c *Watched) Retired() bool { return c.retired.Load() }

func (c *Watched) retire() { c.retired.Store(true) }

// Begin says that what is written next is a request. ended is called when the
// server has closed the connection, at the next Begin no more; nil: nobody needs
// to know. It must not block.
func (c *Watched) Begin(ended func()) {
	c.start.Store(c.wrote.Load())
	c.begins.Store(true)
	c.ended.Store(&ended)
}

// Read implements net.Conn.
func (c *Watched) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	if err == io.EOF || err != nil && endedByPeer(err) { //nolint:errorlint // a TCPConn returns io.EOF itself
		if ended := c.ended.Load(); ended != nil && *ended != nil {
			(*ended)()
		}
	}
	return n, err
}

// Write implements net.Conn. It fails before the first byte of a request if the
// server has closed the connection, or the connection is retired.
func (c *Watched) Write(p []byte) (int, error) {
	if c.refused.Load() {
		return 0, net.ErrClosed
	}
	if c.begins.CompareAndSwap(true, false) && c.wrote.Load() > 0 && !c.fit() {
		c.refused.Store(true)
		return 0, net.ErrClosed
	}
	if c.broken.Load() {
		return len(p), nil
	}
	before := c.wrote.Add(int64(len(p))) - int64(len(p)) // first: whoever sees the answer must see that it was sent
	n, err := c.TCPConn.Write(p)
	c.wrote.Add(int64(n - len(p)))
	if err != nil && before > c.start.Load() && endedByPeer(err) {
		c.broken.Store(true) // Read tells how it ended
		return len(p), nil
	}
	return n, err
}

// fit reports whether a request may be written to a connection that had one.
func (c *Watched) fit() bool {
	switch peer.Poll(c.raw) {
	case peer.Gone:
		return false
	case peer.Unasked:
		if c.of.secure != nil {
			break // it may be a session ticket; net/http reads it
		}
		c.of.suspect()
		return false
	}
	return !c.Retired()
}

func endedByPeer(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}

// ReadFrom implements io.ReaderFrom, which net/http uses for large bodies: all
// that is written goes through Write.
func (c *Watched) ReadFrom(r io.Reader) (int64, error) { return io.Copy(struct{ io.Writer }{c}, r) }

// Close implements net.Conn.
func (c *Watched) Close() error {
	c.of.closed(c)
	return c.TCPConn.Close()
}
