//go:build unix

package proxy

import (
	"errors"
	"syscall"
)

// gone reports whether the server has closed the connection, without waiting
// and without taking anything from it. (Not by RawConn.Read: net/http's reading
// goroutine holds the lock that it wants.)
func (c *upstreamConn) gone() bool {
	closed := false
	err := c.raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		closed = err == nil && n == 0 || err != nil && !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR)
	})
	return closed || err != nil
}
