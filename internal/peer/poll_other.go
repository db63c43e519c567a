//go:build !unix

package peer

import "syscall"

// CanPoll tells whether Poll can tell anything on this system.
const CanPoll = false

// Poll cannot tell anything here: it returns Quiet.
func Poll(syscall.RawConn) State { return Quiet }
