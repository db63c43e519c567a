package peer

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

const canPoll = true

// Poll tells the state of a socket, without waiting and without reading. It may
// be called while others read and write. Below TLS, Unasked means that a record
// has arrived, which may be a session ticket. A socket that has been closed here
// is Gone. Where the system has no poll(2) the answer is always Quiet.
func Poll(raw syscall.RawConn) State {
	state := Gone
	err := raw.Control(func(fd uintptr) { state = poll(int(fd)) })
	if err != nil {
		return Gone
	}
	return state
}

func poll(fd int) State {
	const end = unix.POLLRDHUP | unix.POLLHUP | unix.POLLERR | unix.POLLNVAL
	fds := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN | unix.POLLRDHUP}}
	for {
		_, err := unix.Poll(fds[:], 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil || fds[0].Revents&end != 0:
			return Gone
		case fds[0].Revents&unix.POLLIN != 0:
			return Unasked
		}
		return Quiet
	}
}
