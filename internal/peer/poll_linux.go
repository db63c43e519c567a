package peer

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// poll asks and never waits, so the scheduler need not hear of it (see package socket).
func poll(fd int) State {
	const end = unix.POLLRDHUP | unix.POLLHUP | unix.POLLERR | unix.POLLNVAL
	fds := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN | unix.POLLRDHUP}}
	now := unix.Timespec{}
	for {
		_, _, errno := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&fds[0])), 1, uintptr(unsafe.Pointer(&now)), 0, 0, 0) //nolint:gosec // as package unix does it
		switch {
		case errno == unix.EINTR:
			continue
		case errno != 0 || fds[0].Revents&end != 0:
			return Gone
		case fds[0].Revents&unix.POLLIN != 0:
			return Unasked
		}
		return Quiet
	}
}
