package plain

import (
	"errors"
	"io"
	"net/http"
)

// maxDiscard bounds how many bytes of an unread body are read and dropped to keep the
// connection, as in net/http's server.
const maxDiscard = 256 << 10

// body is a request's body with a length. Several goroutines may call its methods, also
// after the request is over. conn.reading guards its fields and conn.left, the number
// of bytes that are still unread.
type body struct {
	conn   *conn
	closed bool
	broken bool // reading failed before the end
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

// Close implements io.Closer. It does not read the rest of the body; finish may.
func (b *body) Close() error {
	b.conn.reading.Lock()
	defer b.conn.reading.Unlock()
	b.closed = true
	return nil
}

// Arrived returns the whole body if it has come together with the head; the body then
// counts as read. It returns false if more must be waited for.
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

// finish closes the body. It reads the rest if that is short, and reports whether the
// connection can be used again.
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
