package peer

import (
	"errors"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// gone are the events that a Watcher asks for: the peer has closed the connection or its
// half of it. epoll reports errors anyway. It reports each connection once.
const gone = unix.EPOLLRDHUP | unix.EPOLLET

// Watcher tells at once when the peers of sockets go, for any number of
// sockets on one goroutine. Others may read and write the sockets meanwhile. A request
// costs nothing. Make one with NewWatcher. It is safe for concurrent use.
type Watcher struct {
	epoll *os.File
	raw   syscall.RawConn // of epoll

	mu   sync.Mutex
	last uint64
	told map[uint64]func() // guarded by mu; by the connections' numbers, each of which is used once
}

// NewWatcher returns a Watcher, or an error where the system has none: it needs
// Linux's epoll(7). Close should follow.
func NewWatcher() (*Watcher, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // so that the runtime waits for it without a thread
		_ = unix.Close(fd) // nothing is in it
		return nil, os.NewSyscallError("fcntl", err)
	}
	w := &Watcher{epoll: os.NewFile(uintptr(fd), "epoll"), told: map[uint64]func(){}}
	if w.raw, err = w.epoll.SyscallConn(); err != nil {
		_ = w.epoll.Close() // as above
		return nil, err
	}
	go w.run()
	return w, nil
}

// Close ends the watching. Add must not be called any more.
func (w *Watcher) Close() { _ = w.epoll.Close() } // nobody needs what is still in it

// Add has f called when the peer of this socket has gone, even if it has already. f is
// called once, from the Watcher's goroutine, which it must not hold up. remove ends
// the watching: call it when the socket is closed here, or goes to somebody else.
func (w *Watcher) Add(raw syscall.RawConn, f func()) (remove func(), err error) {
	w.mu.Lock()
	w.last++
	n := w.last
	w.told[n] = f
	w.mu.Unlock()
	err = w.control(raw, unix.EPOLL_CTL_ADD, &unix.EpollEvent{Events: gone, Fd: int32(n), Pad: int32(n >> 32)})
	if err != nil {
		w.forget(n)
		return nil, err
	}
	return func() {
		w.forget(n)
		_ = w.control(raw, unix.EPOLL_CTL_DEL, nil) // fails if the socket is closed: then it is not watched either
	}, nil
}

func (w *Watcher) forget(n uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.told, n)
}

// control adds a socket to those that are watched, or removes it.
func (w *Watcher) control(socket syscall.RawConn, operation int, event *unix.EpollEvent) error {
	var inner, failed error
	outer := socket.Control(func(fd uintptr) {
		inner = w.raw.Control(func(at uintptr) { failed = unix.EpollCtl(int(at), operation, int(fd), event) })
	})
	return errors.Join(outer, inner, os.NewSyscallError("epoll_ctl", failed))
}

// run calls the functions of Add until the Watcher is closed.
func (w *Watcher) run() {
	var events [64]unix.EpollEvent
	for {
		n := 0
		err := w.raw.Read(func(fd uintptr) bool {
			var failed error
			n, failed = unix.EpollWait(int(fd), events[:], 0)
			return n > 0 || failed != nil
		})
		if err != nil {
			return // closed
		}
		for _, e := range events[:max(n, 0)] {
			w.tell(uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32)
		}
	}
}

func (w *Watcher) tell(n uint64) {
	w.mu.Lock()
	f := w.told[n]
	delete(w.told, n)
	w.mu.Unlock()
	if f != nil {
		f()
	}
}
