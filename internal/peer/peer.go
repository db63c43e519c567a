// Package peer asks a connection whether its peer is still there, before a
// request is written to it. It sends nothing, and reads nothing that anybody could use.
//
//	switch peer.Look(conn) {
//	case peer.Quiet:   // write
//	case peer.Unasked: // the peer sent what nobody asked for: close
//	case peer.Gone:    // the peer has closed: close
//	}
//
// [Look] is for a connection that nobody else reads at that moment. If another
// goroutine waits in Read all the time, as in net/http's Transport, use [Poll]:
// it only looks at the socket.
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
	// connection. Only a read that finds no application data takes that long.
	ticketWait = time.Millisecond
	// ticketReads bounds how often that is tried: a record that never becomes
	// complete must not hold the caller up.
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
// On a plain connection it calls poll(2): at once, and without reading. It reads
// what has arrived on a TLS connection, because that may be a session
// ticket (RFC 8446, 4.6.1: harmless), a close_notify, or
// application data. Of the data one byte is lost, but a connection with unasked bytes
// can only be closed. The reading takes about 1 ms if something has
// arrived, else no time.
//
// If the system has no poll(2), or a connection no socket, Look tries to read for
// 1 ms.
func Look(c net.Conn) State {
	secure, ok := c.(tlsConn)
	if !ok {
		if raw := rawOf(c); raw != nil && CanPoll {
			return Poll(raw)
		}
		return read(c, time.Now().Add(ticketWait))
	}
	// First look at what tls.Conn holds in its own buffers, which poll does not see.
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
	return Unasked // half a record: nobody asked for it, whatever it becomes
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

// rawOf returns c's socket; nil if it has none.
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
