//go:build unix

package peer

import (
	"sync"
	"syscall"
)

// CanPoll tells whether Poll works on this system.
const CanPoll = true

// Poll tells the state of a socket, without waiting and without reading. It may
// be called while others read and write. Below TLS, Unasked means that a record
// has arrived, which may be a session ticket. A socket that has been closed here
// is Gone. Only Linux tells of an end behind bytes that wait to be read
// (POLLRDHUP); other systems tell of it when they have been read. On systems other than
// Unix the answer is always Quiet.
func Poll(raw syscall.RawConn) State {
	q := questions.Get().(*question)
	defer questions.Put(q)
	if raw.Control(q.ask) != nil {
		return Gone
	}
	return q.answer
}

// question is what Poll asks. It is reused, so that asking allocates nothing.
type question struct {
	ask    func(fd uintptr)
	answer State
}

var questions = sync.Pool{New: func() any {
	q := &question{}
	q.ask = func(fd uintptr) { q.answer = poll(int(fd)) }
	return q
}}
