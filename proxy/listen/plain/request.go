package plain

import (
	"io"
	"net/http"
	"time"

	"powerjob-shim/proxy/head"
)

// Limits, in time and bytes, of reading from a caller who is still writing after he was
// answered. Closing at once would reset the connection, and he might lose the answer.
const (
	lingering    = 500 * time.Millisecond
	maxLingering = 1 << 20
)

// parse makes a request of h, the plain head at the beginning of the buffer, and takes
// the head out of the buffer.
func (c *conn) parse(h head.Plain) *http.Request {
	r := new(http.Request)
	*r = *c.template
	h.Fill(r)
	c.buf = c.buf[h.Size:]
	r.RemoteAddr, r.TLS, r.Body = c.remote, c.tls, http.NoBody
	return r
}

// request serves r, whose head is h. It reports whether another request may follow.
func (c *conn) request(r *http.Request, h head.Plain) bool {
	a := &answer{conn: c, header: headers.Get().(http.Header), length: -1, closes: h.Closes, out: head.Borrow()}
	a.body.conn = c
	c.left = h.Length
	if h.Length > 0 {
		r.Body = &a.body
	}
	if c.left > int64(len(c.buf)) && c.SetReadDeadline(time.Time{}) != nil { // the body's reader sets its own deadline
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
		_ = a.body.Close()                               // without reading the rest
		if c.left > 0 {
			c.linger()
		}
		return false
	}
	if c.timed.Swap(false) { // the deadline was for this request only
		_ = c.SetWriteDeadline(time.Time{}) // fails for a closed connection only
	}
	c.served = true
	return true
}

// linger closes the sending side, and reads on for a caller who may still be writing.
// The read deadline must be set.
func (c *conn) linger() {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, c.Conn, maxLingering) // any end will do
}
