//go:build unix && !linux

package peer

import (
	"errors"
	"syscall"
)

const canPoll = true

// Poll tells the state of a socket, without waiting and without reading. It may
// be called while others read and write. Below TLS, Unasked means that a record
// has arrived, which may be a session ticket. A socket that has been closed here
// is Gone. Only Linux tells of an end behind bytes that wait to be read
// (POLLRDHUP); here it is seen when they have been read.
func Poll(raw syscall.RawConn) State {
	state := Gone
	err := raw.Control(func(fd uintptr) { state = peek(int(fd)) })
	if err != nil {
		return Gone
	}
	return state
}

func peek(fd int) State {
	var b [1]byte
	for {
		n, _, err := syscall.Recvfrom(fd, b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			return Quiet
		case err != nil || n == 0:
			return Gone
		}
		return Unasked
	}
}
