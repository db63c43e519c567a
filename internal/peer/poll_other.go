//go:build !unix

package peer

import "syscall"

// CanPoll tells whether Poll works on this system.
const CanPoll = false

// Poll always returns Quiet on this system.
func Poll(syscall.RawConn) State { return Quiet }
