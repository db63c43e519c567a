package admin

import (
	"cmp"
	"log"
	"net"
	"net/http"
	"time"

	"powerjob-shim/proxy/listen"
)

// times are the limits after which the admin listener closes unused connections.
type times struct {
	idle  time.Duration // between two requests; 0: 2 minutes
	stall time.Duration // while a client reads nothing of its answer; 0: 30 s
	body  time.Duration // until a request's body has arrived, though no path needs one; 0: 30 s
}

const (
	// idleTime is longer than the usual pause between two scrapes.
	idleTime   = 2 * time.Minute
	stallTime  = 30 * time.Second
	bodyTime   = 30 * time.Second
	headerTime = 10 * time.Second
)

// NewServer returns a server that serves h on the admin listener. It closes connections
// that are held but not used. It reports problems to errorLog; nil: the standard log.
func NewServer(h http.Handler, errorLog *log.Logger) listen.Admin {
	return newServer(h, errorLog, times{})
}

// server is an http.Server that also ends connections of clients who read nothing of
// their answer.
type server struct {
	*http.Server
	stall time.Duration // see times
}

// Serve implements listen.Admin.
func (s server) Serve(ln net.Listener) error { return s.Server.Serve(listen.Moving(ln, s.stall)) }

// newServer is NewServer with other limits than the defaults.
func newServer(h http.Handler, errorLog *log.Logger, after times) server {
	body := cmp.Or(after.body, bodyTime)
	return server{stall: cmp.Or(after.stall, stallTime), Server: &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ContentLength != 0 { // without a body, there is no limit: a profile may take as long as was asked for
				_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(body)) // the connection is closed if this fails
			}
			h.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: headerTime,
		IdleTimeout:       cmp.Or(after.idle, idleTime),
		ErrorLog:          errorLog,
	}}
}
