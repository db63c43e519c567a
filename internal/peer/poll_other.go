//go:build !unix

package peer

import "syscall"

const canPoll = false

// Poll cannot tell anything here: it returns Quiet.
func Poll(syscall.RawConn) State { return Quiet }
