//go:build unix

package peer

import "syscall"

// CanPoll tells whether Poll can tell anything on this system.
const CanPoll = true

// Poll tells the state of a socket, without waiting and without reading. It may
// be called while others read and write. Below TLS, Unasked means that a record
// has arrived, which may be a session ticket. A socket that has been closed here
// is Gone. Only Linux tells of an end behind bytes that wait to be read
// (POLLRDHUP); elsewhere it is seen when they have been read. On systems that are
// no Unix the answer is always Quiet.
func Poll(raw syscall.RawConn) State {
	state := Gone
	if raw.Control(func(fd uintptr) { state = poll(int(fd)) }) != nil {
		return Gone
	}
	return state
}
