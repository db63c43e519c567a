//go:build !linux

package peer

import (
	"errors"
	"syscall"
)

// Watcher tells when the peers of sockets go. This system has none.
type Watcher struct{}

// NewWatcher returns an error: a Watcher needs Linux's epoll(7).
func NewWatcher() (*Watcher, error) { return nil, errors.ErrUnsupported }

// Close ends the watching.
func (*Watcher) Close() {}

// Add returns an error.
func (*Watcher) Add(syscall.RawConn, func()) (remove func(), err error) {
	return nil, errors.ErrUnsupported
}
