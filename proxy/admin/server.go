package admin

import (
	"cmp"
	"log"
	"net"
	"net/http"
	"time"

	"powerjob-shim/proxy/listen"
)

// times end the admin listener's connections that nobody uses. A zero field means its
// default.
type times struct {
	idle  time.Duration // between two requests; 2 minutes
	stall time.Duration // for which a reader takes nothing; 30 s
	body  time.Duration // for a request's body, which no page needs; 30 s
}

const (
	// idleTime is longer than the usual pause between two scrapes.
	idleTime   = 2 * time.Minute
	stallTime  = 30 * time.Second
	bodyTime   = 30 * time.Second
	headerTime = 10 * time.Second
)

// NewServer returns a server of h for the admin listener. It lets those go who hold a
// connection and do nothing with it. Its complaints go to errorLog; nil: to the
// standard log.
func NewServer(h http.Handler, errorLog *log.Logger) listen.Admin {
	return newServer(h, errorLog, times{})
}

// server lets readers go that take nothing of their answer.
type server struct {
	*http.Server
	stall time.Duration
}

// Serve implements listen.Admin.
func (s server) Serve(ln net.Listener) error { return s.Server.Serve(listen.Moving(ln, s.stall)) }

func newServer(h http.Handler, errorLog *log.Logger, after times) server {
	body := cmp.Or(after.body, bodyTime)
	return server{stall: cmp.Or(after.stall, stallTime), Server: &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ContentLength != 0 { // without one, a profile may take as long as it was asked to
				_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(body)) // the connection is closed if this fails
			}
			h.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: headerTime,
		IdleTimeout:       cmp.Or(after.idle, idleTime),
		ErrorLog:          errorLog,
	}}
}
