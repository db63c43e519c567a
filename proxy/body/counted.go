package body

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

var errUnwanted = errors.New("nobody wants the rest of the request's body")

// Counted counts the bytes that are read of a request's body and remembers how reading
// ended. Its ReadCloser is the body; if there is none, it is nil, and nothing may be read.
// Safe for concurrent use: a request may still be written when the server has answered.
type Counted struct {
	io.ReadCloser
	n     atomic.Int64
	ended atomic.Bool           // all of it has been read
	cut   atomic.Bool           // nothing more is read
	err   atomic.Pointer[error] // the first error of Read other than io.EOF

	reading sync.Mutex // held by a Read
	mu      sync.Mutex // held while a deadline is set, so that Cut comes before or after

	// from and to pass trailers on: net/http fills from when the body has
	// been read. to has the names that were announced.
	from, to http.Header
}

// Read implements io.Reader.
func (b *Counted) Read(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	if b.cut.Load() {
		return 0, errUnwanted
	}
	n, err := b.ReadCloser.Read(p)
	b.n.Add(int64(n))
	if err != nil && err != io.EOF && b.cut.Load() {
		return n, errUnwanted // not the caller's fault
	}
	switch {
	case err == io.EOF:
		b.ended.Store(true)
		for name := range b.to {
			b.to[name] = b.from[name]
		}
	case err != nil:
		b.Fail(err)
	}
	return n, err
}

// Close does nothing: net/http closes the body after the handler. Closing it earlier
// would wait for a Read that waits for the caller, and hold the answer's end back.
func (b *Counted) Close() error { return nil }

// PassTrailers makes Read copy, at the body's end, those trailers of from that to has
// names for. It must be called before the first Read.
func (b *Counted) PassTrailers(from, to http.Header) { b.from, b.to = from, to }

// N returns how many bytes have been read.
func (b *Counted) N() int64 { return b.n.Load() }

// Ended reports whether the body has been read to its end.
func (b *Counted) Ended() bool { return b.ended.Load() }

// Cut makes each later Read fail, and keeps it from setting a deadline. The caller of Cut
// must also end a Read that is waiting.
func (b *Counted) Cut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cut.Store(true)
}

// Release ends the reading when the request's handler has ended: when it returns, no
// Read is in progress, and no later one sets a deadline, which would be the next
// request's. It reports whether a Read was waiting for the caller; interrupt has ended it.
func (b *Counted) Release(interrupt func()) (waited bool) {
	b.Cut()
	if waited = !b.reading.TryLock(); waited {
		interrupt()
		b.reading.Lock()
	}
	b.reading.Unlock()
	return waited
}

// setDeadline sets the deadline for reading the body, unless nothing more is read.
func (b *Counted) setDeadline(answer http.ResponseWriter, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.cut.Load() {
		_ = http.NewResponseController(answer).SetReadDeadline(at) // if that fails, the body may pause
	}
}

// Fail notes why the body cannot be read to its end. Only the first error counts.
func (b *Counted) Fail(err error) { b.err.CompareAndSwap(nil, &err) }

// Broken returns why the body could not be read to its end; nil: reading has not failed.
func (b *Counted) Broken() error {
	if err := b.err.Load(); err != nil {
		return *err
	}
	return nil
}

// arrived returns the whole body if it came together with the request's header. Only
// bodies of proxy/listen/plain can tell that, without waiting. The bytes were in memory
// before, and do not count against the budget.
func (b *Counted) arrived() (body []byte, whole bool) {
	begun, ok := b.ReadCloser.(interface{ Arrived() ([]byte, bool) })
	if !ok {
		return nil, false
	}
	if body, whole = begun.Arrived(); whole {
		b.n.Add(int64(len(body)))
		b.ended.Store(true)
	}
	return body, whole
}
