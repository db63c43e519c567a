package proxy

import (
	"cmp"
	"net"
	"net/http"
	"time"
)

// adminTimes end the admin listener's connections that nobody uses. A zero
// field means its default.
type adminTimes struct {
	idle  time.Duration // between two requests; 2 minutes
	stall time.Duration // for which a reader takes nothing; 30 s
	body  time.Duration // for a request's body, which no page needs; 30 s
}

// adminIdleTime is longer than the usual pause between two scrapes.
const adminIdleTime = 2 * time.Minute

func (a adminTimes) server(h http.Handler) *http.Server {
	body := cmp.Or(a.body, defaultBodyTimeout)
	return &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ContentLength != 0 { // without one, a profile may take as long as it was asked to
				_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(body)) // the connection is closed if this fails
			}
			h.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: defaultHeaderTimeout,
		IdleTimeout:       cmp.Or(a.idle, adminIdleTime),
	}
}

func (a adminTimes) listener(ln net.Listener) net.Listener {
	return adminListener{ln, cmp.Or(a.stall, defaultStallTimeout)}
}

// adminListener lets readers go that take nothing of their answer.
type adminListener struct {
	net.Listener
	stall time.Duration
}

// Accept implements net.Listener.
func (l adminListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok && err == nil {
		return &movingConn{TCPConn: tcp, stall: l.stall}, nil
	}
	return c, err
}
