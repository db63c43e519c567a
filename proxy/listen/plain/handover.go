package plain

import (
	"time"

	"powerjob-shim/proxy/listen/handover"
)

// handOver gives the connection to net/http's server, with what was read of it. by
// is when the head that has begun must be whole; zero: as await found.
func (c *conn) handOver(by time.Time) {
	if by.IsZero() {
		by = c.headBy
	}
	read := append([]byte(nil), c.buf...)
	c.hangUp.unwatch()
	c.state.Store(isClosed)
	c.giveBack()
	if !c.server.handed.Give(handover.Conn(c.Conn, read, by, c.tls)) {
		_ = c.Conn.Close() // the server has stopped
	}
	c.server.forget(c)
}
