package proxy

import (
	"cmp"
	"log"
	"net"
	"net/http"
	"time"

	"powerjob-shim/proxy/listen"
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

func (a adminTimes) server(h http.Handler, errorLog *log.Logger) adminServer {
	body := cmp.Or(a.body, 30*time.Second)
	return adminServer{cmp.Or(a.stall, 30*time.Second), &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ContentLength != 0 { // without one, a profile may take as long as it was asked to
				_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(body)) // the connection is closed if this fails
			}
			h.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       cmp.Or(a.idle, adminIdleTime),
		ErrorLog:          errorLog,
	}}
}

// adminServer lets readers go that take nothing of their answer.
type adminServer struct {
	stall time.Duration
	*http.Server
}

// Serve implements listen.Admin.
func (s adminServer) Serve(ln net.Listener) error { return s.Server.Serve(listen.Moving(ln, s.stall)) }
