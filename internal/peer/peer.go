// Package peer asks a connection whether its peer is still there, before a
// request is written to it. Nothing is sent, and nothing that can be used is read.
//
//	switch peer.Look(conn) {
//	case peer.Quiet:   // write
//	case peer.Unasked: // the peer sent what nobody asked for: close
//	case peer.Gone:    // the peer has closed: close
//	}
//
// [Look] is for a connection that nobody else reads at that moment. Where another
// goroutine waits in Read all the time, as net/http's Transport does, use [Poll]:
// it looks at the socket only.
package peer

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// State is what is known of a peer.
type State uint8

const (
	// Quiet means that the peer is there as far as can be known, and nothing waits to be read.
	Quiet State = iota
	// Unasked means that there are bytes to read.
	Unasked
	// Gone means that the peer has closed the connection, or its half of it, or reset it.
	// Bytes may wait to be read before the end.
	Gone
)

// String returns a word for logs.
func (s State) String() string { return [...]string{"quiet", "unasked", "gone"}[s] }

const (
	// ticketWait bounds one read of what has arrived already on a TLS
	// connection. Only a read that finds no application data lasts so long.
	ticketWait = time.Millisecond
	// ticketReads bounds how often that is tried: a record that never becomes
	// whole must not hold the caller.
	ticketReads = 50
)

// tlsConn is what *tls.Conn has.
type tlsConn interface {
	net.Conn
	NetConn() net.Conn
}

// Look tells the state of c's peer. Nobody else may be reading c; another
// goroutine may write. It removes c's read deadline.
//
// A plain connection is asked with poll(2): at once, and without reading. What
// arrives on a TLS connection is read through it, because it may be a session
// ticket (RFC 8446, 4.6.1: nothing to worry about), a close_notify, or
// application data, of which one byte is lost: a connection with unasked bytes
// has no other use than to be closed. That takes no time unless something has
// arrived, and then about 1 ms.
//
// Where the system has no poll(2), and for connections that have no socket, what
// could be read within 1 ms decides.
func Look(c net.Conn) State {
	secure, ok := c.(tlsConn)
	if !ok {
		if raw := rawOf(c); raw != nil && CanPoll {
			return Poll(raw)
		}
		return read(c, time.Now().Add(ticketWait))
	}
	// First what tls.Conn holds in its own buffers, which no poll sees.
	if s := read(c, time.Unix(1, 0)); s != Quiet {
		return s
	}
	raw := rawOf(secure.NetConn())
	if raw == nil || !CanPoll {
		return read(c, time.Now().Add(ticketWait))
	}
	for range ticketReads {
		waiting := Poll(raw)
		if waiting != Unasked {
			return waiting
		}
		if s := read(c, time.Now().Add(ticketWait)); s != Quiet {
			return s
		}
	}
	return Unasked // half a record: whatever it becomes, nobody asked for it
}

// read reads one byte until a deadline, and removes the deadline.
func read(c net.Conn, until time.Time) State {
	if err := c.SetReadDeadline(until); err != nil {
		return Gone
	}
	var b [1]byte
	n, err := c.Read(b[:])
	if clearing := c.SetReadDeadline(time.Time{}); clearing != nil {
		return Gone
	}
	switch {
	case n > 0:
		return Unasked
	case err == nil, errors.Is(err, os.ErrDeadlineExceeded):
		return Quiet
	}
	return Gone
}

// rawOf returns the socket of c, nil if it has none.
func rawOf(c net.Conn) syscall.RawConn {
	s, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}
