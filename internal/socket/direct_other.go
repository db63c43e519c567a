//go:build !linux

package socket

import "net"

// direct is nothing here: a Conn is its TCPConn.
type direct struct{}

func (direct) init(*net.TCPConn) {}
