package socket

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"
)

// direct is what the system calls of a Conn need.
type direct struct {
	raw     syscall.RawConn // nil: the connection was closed before New
	in, out transfer
}

// transfer is one direction of a connection.
type transfer struct {
	mu   sync.Mutex         // one call at a time, as in package net
	try  func(uintptr) bool // moves what it can; false: wait for the socket, then call it again. Made once, so that calls do not allocate
	left []byte             // the rest to read into, or to write
	n    int                // bytes moved
	err  syscall.Errno      // 0: none
}

func (d *direct) init(c *net.TCPConn) {
	d.raw, _ = c.SyscallConn() // fails only if the connection is closed, and so does every later call on it
	d.in.try, d.out.try = d.in.read, d.out.write
}

// move calls op with p as the bytes to move. Afterwards t holds nothing of p.
func (t *transfer) move(op func(func(uintptr) bool) error, p []byte) (n int, errno syscall.Errno, err error) {
	t.left, t.n, t.err = p, 0, 0
	err = op(t.try)
	n, errno, t.left = t.n, t.err, nil
	return n, errno, err
}

// read implements transfer.try.
func (t *transfer) read(fd uintptr) bool {
	n, done := t.call(syscall.SYS_READ, fd)
	wasRead()
	t.n = n
	return done
}

// write implements transfer.try.
func (t *transfer) write(fd uintptr) bool {
	writing()
	for len(t.left) > 0 {
		n, done := t.call(syscall.SYS_WRITE, fd)
		if !done {
			return false
		}
		if t.err != 0 {
			break
		}
		t.n += n
		t.left = t.left[n:]
	}
	return true
}

// call makes one system call; done is false where it would have to wait.
func (t *transfer) call(trap, fd uintptr) (n int, done bool) {
	for {
		moved, _, errno := syscall.RawSyscall(trap, fd, uintptr(unsafe.Pointer(&t.left[0])), uintptr(len(t.left))) //nolint:gosec // as package syscall does it
		switch errno {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return 0, false
		case 0:
			return int(moved), true
		}
		t.err = errno
		return 0, true
	}
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	if c.raw == nil || len(p) == 0 {
		return c.TCPConn.Read(p)
	}
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	n, errno, err := c.in.move(c.raw.Read, p)
	if err == nil && errno == 0 && n == 0 {
		return 0, io.EOF
	}
	return n, c.failed("read", errno, err)
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	if c.raw == nil || len(p) == 0 {
		return c.TCPConn.Write(p)
	}
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	n, errno, err := c.out.move(c.raw.Write, p)
	return n, c.failed("write", errno, err)
}

// failed returns the error that package net would return.
func (c *Conn) failed(op string, errno syscall.Errno, err error) error {
	if errno != 0 {
		err = os.NewSyscallError(op, errno)
	}
	if err == nil {
		return nil
	}
	if waited, ok := err.(*net.OpError); ok { //nolint:errorlint // as package net makes it
		err = waited.Err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}
