package conversation

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"

	"powerjob-shim/internal/peer"
)

// wire is the TCP connection below TLS. It counts the bytes that leave.
type wire struct {
	net.Conn
	raw  syscall.RawConn // nil: no socket
	sent atomic.Int64    // bytes since the connection was made, counted before they can have left
	shut atomic.Bool     // nothing more is written

	// waits is called when the write deadline has passed. An error ends the write. nil:
	// the deadline ends it.
	waits func() error
}

func newWire(c net.Conn) *wire {
	w := &wire{Conn: c}
	if s, ok := c.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			w.raw = raw
		}
	}
	return w
}

// Write implements net.Conn.
func (w *wire) Write(p []byte) (n int, err error) {
	for {
		w.sent.Add(int64(len(p) - n))
		if w.shut.Load() {
			w.sent.Add(int64(n - len(p)))
			return n, net.ErrClosed
		}
		more, err := w.Conn.Write(p[n:])
		n += more
		w.sent.Add(int64(n - len(p)))
		if err == nil || w.waits == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if err := w.waits(); err != nil {
			return n, err
		}
	}
}

// SyscallConn implements syscall.Conn, for package peer.
func (w *wire) SyscallConn() (syscall.RawConn, error) {
	if w.raw == nil {
		return nil, errors.ErrUnsupported
	}
	return w.raw, nil
}

// state returns whether the server has sent something, or has gone. Without a socket it
// is always peer.Quiet.
func (w *wire) state() peer.State {
	if w.raw == nil {
		return peer.Quiet
	}
	return peer.Poll(w.raw)
}
