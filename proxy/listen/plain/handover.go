package plain

import (
	"bytes"
	"time"

	"powerjob-shim/proxy/listen/handover"
)

// handOver gives the connection and the bytes that were read from it to net/http's
// server. by is when the head that has begun must be complete; zero: headBy.
func (c *conn) handOver(by time.Time) {
	if by.IsZero() {
		by = c.headBy
	}
	read := bytes.Clone(c.buf)
	c.hangUp.Unwatch()
	c.state.Store(isClosed)
	c.giveBack()
	if !c.server.handed.Give(handover.Conn(c.Conn, read, by, c.tls)) {
		_ = c.Conn.Close() // the server has stopped
	}
	c.server.forget(c)
}
