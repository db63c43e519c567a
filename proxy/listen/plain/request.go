package plain

import (
	"io"
	"net/http"
	"net/url"
	"strings"
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
// there what follows it. The request is what http.ReadRequest makes of it. Its
// values are parts of one text: who keeps one for long must clone it.
func (c *conn) parse(h plainHead) *http.Request {
	text := string(c.buf[:h.size-len(crlf)])
	c.buf = c.buf[h.size:]

	r := new(http.Request)
	*r = *c.template // it has the context
	r.Method, r.Proto, r.ProtoMajor, r.ProtoMinor = http.MethodPost, "HTTP/1.1", 1, 1
	r.RequestURI, r.ContentLength, r.Close = h.target, h.length, h.closes
	r.URL = urlOf(h.target)
	r.RemoteAddr, r.TLS, r.Body = c.remote, c.tls, http.NoBody

	_, text, _ = strings.Cut(text, "\r\n")
	lines := strings.Count(text, "\r\n")
	r.Header = make(http.Header, lines+4) // handlers add some
	values := make([]string, lines)
	for line := range strings.SplitSeq(text[:len(text)-len(crlf)], "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		value = strings.Trim(value, " \t")
		name = head.Canonical(name)
		if earlier, ok := r.Header[name]; ok {
			r.Header[name] = append(earlier, value)
			continue
		}
		values[0] = value
		r.Header[name], values = values[:1:1], values[1:]
	}
	r.Host = r.Header.Get("Host")
	delete(r.Header, "Host")
	if r.Header.Get("Pragma") == "no-cache" && r.Header["Cache-Control"] == nil { // as net/http has it (RFC 9111, 5.4)
		r.Header["Cache-Control"] = []string{"no-cache"}
	}
	return r
}

// urlOf returns a plain target's URL.
func urlOf(target string) *url.URL {
	path, query, found := strings.Cut(target, "?")
	return &url.URL{Path: path, RawQuery: query, ForceQuery: found && query == ""}
}

// request serves a request, whose head is h. It reports whether another one may follow.
func (c *conn) request(r *http.Request, h plainHead) bool {
	a := &answer{conn: c, header: headers.Get().(http.Header), length: -1, closes: h.closes, out: head.Borrow()}
	a.body.conn = c
	c.left = h.length
	if h.length > 0 {
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
