package proxy

import (
	"net"
	"net/http/httptrace"

	up "powerjob-shim/proxy/upstream"
)

// sent tells whether any byte of a request may have left. A Transport that
// tries several connections uses them one after the other.
type sent struct {
	conn   *up.Watched // the last one that was had; nil: none that counts
	before int64       // what had been written to it by then
	ended  func()      // when the server closes the last one; nil: nobody needs to know
	listen bool        // to how the answer's head is written
	heard  *up.Heard   // the last connection that does so; nil: none
	maybe  bool        // on an earlier connection, or on one that does not count, or it was answered
}

// got is the GotConn of a ClientTrace.
func (s *sent) got(info httptrace.GotConnInfo) {
	s.maybe = s.any()
	raw := info.Conn
	s.heard = nil
	if c, ok := raw.(*up.Heard); ok {
		if raw = c.Conn; s.listen {
			s.heard = c
			c.Listen()
		}
	}
	if secure, ok := raw.(interface{ NetConn() net.Conn }); ok {
		raw = secure.NetConn()
	}
	var counts bool
	if s.conn, counts = raw.(*up.Watched); counts {
		s.before = s.conn.Wrote()
		s.conn.Begin(s.ended)
	} else {
		s.maybe = true
	}
}

func (s *sent) any() bool { return s.maybe || s.conn != nil && s.conn.Wrote() != s.before }
