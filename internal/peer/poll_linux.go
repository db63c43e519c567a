package peer

import (
	"errors"

	"golang.org/x/sys/unix"
)

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
