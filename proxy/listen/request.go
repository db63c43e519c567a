package listen

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"time"
)

// lingering bounds how long, and how much, is read of a caller who is still
// writing when he has been answered: closing at once would reset the connection,
// and he might lose the answer.
const (
	lingering    = 500 * time.Millisecond
	maxLingering = 1 << 20
)

// parse reads the head at the beginning of the buffer, and leaves there what
// follows it, unless there is an error.
func (c *conn) parse() (*http.Request, error) {
	end := bytes.Index(c.buf, headEnd) + len(headEnd)
	br := readers.Get().(*bufio.Reader)
	br.Reset(bytes.NewReader(c.buf[:end]))
	r, err := http.ReadRequest(br)
	br.Reset(nil)
	readers.Put(br)
	if err == nil {
		c.buf = c.buf[end:]
	}
	return r, err
}

// request serves a request. It reports whether another one may follow.
func (c *conn) request(r *http.Request, head plainHead) bool {
	a := &answer{conn: c, header: headers.Get().(http.Header), length: -1, closes: head.closes, out: outputs.Get().(*bytes.Buffer)}
	a.body.conn = c
	r = r.WithContext(c.ctx)
	r.RemoteAddr, r.TLS, r.Body = c.remote, c.tls, http.NoBody
	c.left = head.length
	if head.length > 0 {
		r.Body = &a.body
	}
	if c.left > int64(len(c.buf)) && c.SetReadDeadline(time.Time{}) != nil { // whoever reads the body sets one
		return false
	}
	c.server.HTTP.Handler.ServeHTTP(a, r)
	keep := a.finish()
	a.end()
	if keep {
		keep = a.body.finish()
	}
	if !keep {
		_ = c.SetReadDeadline(time.Now().Add(lingering)) // fails for a closed connection only
		_ = a.body.Close()                               // as it is
		if c.left > 0 {
			c.linger()
		}
		return false
	}
	if c.timed.Swap(false) { // what was set for this request has no meaning for the next
		_ = c.SetWriteDeadline(time.Time{}) // fails for a closed connection only
	}
	c.served = true
	return true
}

// linger ends the connection for a caller who may still be writing. The read
// deadline is set.
func (c *conn) linger() {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, c.Conn, maxLingering) // whatever ends it
}
