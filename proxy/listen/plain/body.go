package plain

import (
	"errors"
	"io"
	"net/http"
)

// maxDiscard is how much of a body that nobody read is read to keep the
// connection, as in net/http's server.
const maxDiscard = 256 << 10

// body is a request's body with a length. Its methods may be called by several
// goroutines, also when the request is over. Its fields are guarded by the
// connection's reading, and so is how much of it is left.
type body struct {
	conn   *conn
	closed bool
	broken bool // it was not read to its end, and cannot be any more
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	b.conn.reading.Lock()
	defer b.conn.reading.Unlock()
	if b.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.read(p)
}

func (b *body) read(p []byte) (int, error) {
	c := b.conn
	if c.left == 0 {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := c.read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	switch {
	case c.left == 0:
		return n, io.EOF
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	b.broken = b.broken || err != nil
	return n, err
}

// Close implements io.Closer: what is left of the body is read later, or never.
func (b *body) Close() error {
	b.conn.reading.Lock()
	defer b.conn.reading.Unlock()
	b.closed = true
	return nil
}

// Arrived returns the whole body if it came together with the head, and false
// where more must be waited for. It counts as read then.
func (b *body) Arrived() ([]byte, bool) {
	b.conn.reading.Lock()
	defer b.conn.reading.Unlock()
	c := b.conn
	if b.closed || c.left > int64(len(c.buf)) {
		return nil, false
	}
	whole := make([]byte, c.left)
	_, _ = c.read(whole) // from memory
	c.left = 0
	return whole, true
}

// finish ends the body: it reads what is left, if that is little, and reports
// whether the connection can be used again.
func (b *body) finish() bool {
	b.conn.reading.Lock()
	defer b.conn.reading.Unlock()
	b.closed = true
	c := b.conn
	if c.left == 0 {
		return true
	}
	if b.broken || c.left >= maxDiscard {
		return false
	}
	for buf := make([]byte, min(c.left, 4<<10)); c.left > 0; {
		if _, err := b.read(buf); err != nil && c.left > 0 {
			return false
		}
	}
	return true
}
