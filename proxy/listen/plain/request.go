package plain

import (
	"io"
	"net/http"
	"time"

	"powerjob-shim/proxy/head"
)

// lingering bounds how long, and how much, is read of a caller who is still
// writing when he has been answered: closing at once would reset the connection,
// and he might lose the answer.
const (
	lingering    = 500 * time.Millisecond
	maxLingering = 1 << 20
)

// parse reads the head at the beginning of the buffer, which is plain, and leaves
// there what follows it.
func (c *conn) parse(h head.Plain) *http.Request {
	r := new(http.Request)
	*r = *c.template // it has the context
	h.Fill(r)
	c.buf = c.buf[h.Size:]
	r.RemoteAddr, r.TLS, r.Body = c.remote, c.tls, http.NoBody
	return r
}

// request serves a request, whose head is h. It reports whether another one may follow.
func (c *conn) request(r *http.Request, h head.Plain) bool {
	a := &answer{conn: c, header: headers.Get().(http.Header), length: -1, closes: h.Closes, out: head.Borrow()}
	a.body.conn = c
	c.left = h.Length
	if h.Length > 0 {
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
