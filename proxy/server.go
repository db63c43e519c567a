package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

const (
	// readHeaderTimeout ends connections that send a header too slowly. They
	// are closed without an answer: OkHttp would repeat a request on a 408.
	readHeaderTimeout = 10 * time.Second

	// clientIdleTimeout is longer than the 5 minutes after which OkHttp closes
	// an unused connection, so that the client is the one who closes: no call
	// is written to a connection that is being closed.
	clientIdleTimeout = 6 * time.Minute
)

// Listeners says where to listen.
type Listeners struct {
	Clients []Listener
	Admin   string // host:port; "" : no admin listener

	// Challenge answers what a certificate authority asks on plain listeners
	// to see who holds a name (RFC 8555, 8.3), and reports whether it did.
	// nil: every request goes upstream.
	Challenge func(http.ResponseWriter, *http.Request) bool

	Gatherer prometheus.Gatherer // for /metrics; nil: none
	Pprof    bool
}

// Listener is one address for clients.
type Listener struct {
	Address string // host:port

	// TLS makes it an https listener. It must not offer h2: HTTP/2 lowercases
	// the header that the clients look for. nil: plain HTTP.
	TLS *tls.Config

	// Redirect sends plain requests to https. nil: they are served.
	Redirect *Redirect

	// MaxConnections bounds the open connections: up to twice as many are
	// accepted, those beyond the bound only to be answered with 503. 0: no bound.
	MaxConnections int
}

// Server is a Proxy with its open listeners.
type Server struct {
	proxy     *Proxy
	clients   []net.Listener
	admin     net.Listener // nil: none
	server    *http.Server
	adminHTTP *http.Server
}

// Listen opens all listeners and serves none of them yet. On an error it
// leaves none open.
func (p *Proxy) Listen(l Listeners) (*Server, error) {
	errorLog, err := zap.NewStdLogAt(p.log, zap.WarnLevel)
	if err != nil {
		return nil, fmt.Errorf("making the servers' log: %w", err)
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	s := &Server{
		proxy: p,
		server: &http.Server{
			Handler:           p,
			Protocols:         protocols,
			ReadHeaderTimeout: readHeaderTimeout,
			IdleTimeout:       clientIdleTimeout,
			MaxHeaderBytes:    maxHeaderBytes,
			ConnContext:       markOver,
			ErrorLog:          errorLog,
			BaseContext: func(ln net.Listener) context.Context {
				return context.WithValue(p.life, doorKey{}, ln.(strictListener).door)
			},
		},
		adminHTTP: &http.Server{
			Handler:           p.Admin(l.Gatherer, l.Pprof),
			ReadHeaderTimeout: readHeaderTimeout,
			ErrorLog:          errorLog,
		},
	}
	var lc net.ListenConfig
	open := func(addr string) net.Listener {
		if err != nil {
			return nil
		}
		var ln net.Listener
		if ln, err = lc.Listen(context.Background(), "tcp", addr); err != nil {
			err = fmt.Errorf("listening on %s: %w", addr, err)
		}
		return ln
	}
	for _, c := range l.Clients {
		if ln := open(c.Address); ln != nil {
			d := &door{challenge: l.Challenge, redirect: c.Redirect}
			if c.TLS != nil {
				d = nil
			}
			s.clients = append(s.clients, strictListener{Listener: ln, tls: c.TLS, door: d, log: p.log, open: &connections{bound: int64(c.MaxConnections)}})
		}
	}
	if l.Admin != "" {
		s.admin = open(l.Admin)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// Addrs returns the clients' addresses, in the order of Listeners.Clients.
func (s *Server) Addrs() []net.Addr {
	addrs := make([]net.Addr, len(s.clients))
	for i, ln := range s.clients {
		addrs[i] = ln.Addr()
	}
	return addrs
}

// AdminAddr returns the admin listener's address, nil without one.
func (s *Server) AdminAddr() net.Addr {
	if s.admin == nil {
		return nil
	}
	return s.admin.Addr()
}

// close releases listeners that are not served.
func (s *Server) close() {
	for _, ln := range s.clients {
		_ = ln.Close() // nothing was accepted
	}
	if s.admin != nil {
		_ = s.admin.Close() // nothing was accepted
	}
}

// Serve serves until stop ends, then drains and returns nil. It returns
// earlier, with an error, when a listener fails or now ends: then requests in
// flight are cut off.
func (s *Server) Serve(stop, now context.Context) error {
	g, failed := errgroup.WithContext(context.Background())
	serve := func(srv *http.Server, ln net.Listener) {
		g.Go(func() error {
			if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serving %s: %w", ln.Addr(), err)
			}
			return nil
		})
	}
	for _, ln := range s.clients {
		serve(s.server, ln)
	}
	if s.admin != nil {
		serve(s.adminHTTP, s.admin)
	}
	select {
	case <-stop.Done():
		s.drain(now)
	case <-now.Done():
	case <-failed.Done():
	}
	s.proxy.end(errStopping)
	_ = s.server.Close()    // the process ends: nothing is left to be done about it
	_ = s.adminHTTP.Close() // likewise
	s.proxy.retire()
	s.proxy.running.Wait()
	if err := g.Wait(); err != nil {
		return err
	}
	if now.Err() != nil {
		return errors.New("stopped at once, without waiting for requests in flight")
	}
	return nil
}
