// Package socket reads and writes TCP connections with raw system calls, without
// telling Go's scheduler.
//
// A system call may block its thread, so the scheduler is told of each one, and gives
// the thread's processor to another thread when it takes more than 20 µs. A socket of
// package net never blocks, but a write on the loopback interface, where the kernel
// carries the bytes to the other end at once, often takes longer than that. Then one
// or two threads are woken and put to sleep for nothing.
//
// On systems other than Linux a Conn is just a net.TCPConn.
package socket

import "net"

// Conn is a TCP connection. It is used as a net.Conn, and closed by its owner.
type Conn struct {
	*net.TCPConn
	direct
}

// New returns a Conn that reads from and writes to c.
func New(c *net.TCPConn) *Conn {
	s := &Conn{TCPConn: c}
	s.init(c)
	return s
}
