// Package listen listens for callers: it opens addresses, limits their connections,
// does TLS handshakes, and stops in good order. It knows which connection a request
// came on, but not what the request is about: one [http.Handler] serves all requests.
//
//	s, err := listen.Open(listen.Config{Handler: h, Life: life, Logger: log,
//		Clients: []listen.Listener{{Address: ":7700"}}})
//	err = s.Serve(stop, now)
//
// All listeners are open before any serves. When stop ends, the server drains: see
// [Lifecycle]. The handler learns from [PlaceOf] and [DoorOf] what it needs to know
// about a request's connection and listener.
//
// Package plain, below this one, serves the connections: plain requests itself, all
// others through net/http's server. Only HTTP/1.1 is offered to clients.
package listen

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"powerjob-shim/proxy/listen/plain"
)

// maxHeaderBytes bounds a request's header; net/http answers 431 to a larger one.
// Spring Boot's own limit is 8 KiB.
const maxHeaderBytes = 64 << 10

// Config is what a Server is made of.
type Config struct {
	Handler  http.Handler
	Life     Lifecycle
	Logger   *zap.Logger
	ErrorLog *log.Logger // for the errors of net/http's servers; nil: the standard log

	Clients []Listener

	// Plain reports whether a plain request may be served without net/http's server:
	// see [plain.Server]. nil: none may.
	Plain func(target string, length int64) bool
	// Watch makes a hang-up of a plain request's caller known at once, not within
	// 100 ms. See [plain.Server].
	Watch bool

	// Challenge answers the request by which a certificate authority checks, on a plain
	// listener, who holds a name (RFC 8555, 8.3). It returns false for all other
	// requests. The handler gets it in its Door. nil: there is none.
	Challenge func(http.ResponseWriter, *http.Request) bool

	// AdminAddress is the host and port on which Admin listens. "": it does not.
	AdminAddress string
	Admin        Admin // nil without AdminAddress
}

// Admin is the server of the admin listener. It runs until the clients' servers have
// ended, so that it can report the drain. *http.Server implements it.
type Admin interface {
	Serve(net.Listener) error // http.ErrServerClosed after Close
	Close() error
}

// Server owns the open listeners. Make one with Open.
type Server struct {
	life    Lifecycle
	log     *zap.Logger
	clients []net.Listener
	servers []*plain.Server // servers[i] serves clients[i]

	adminListener net.Listener // nil: none
	admin         Admin        // nil: none
}

// Open opens all listeners and serves none of them yet. On an error it leaves none
// open.
func Open(c Config) (*Server, error) {
	s := &Server{life: c.Life, log: c.Logger}
	var lc net.ListenConfig
	open := func(addr string) (net.Listener, error) {
		ln, err := lc.Listen(context.Background(), "tcp", addr)
		if err != nil {
			s.close()
			return nil, fmt.Errorf("listening on %s: %w", addr, err)
		}
		return ln, nil
	}
	for _, l := range c.Clients {
		ln, err := open(l.Address)
		if err != nil {
			return nil, err
		}
		s.clients = append(s.clients, c.strict(ln, l))
		s.servers = append(s.servers, &plain.Server{HTTP: c.httpServer(l), Plain: c.Plain, Watch: c.Watch})
	}
	if c.AdminAddress != "" {
		ln, err := open(c.AdminAddress)
		if err != nil {
			return nil, err
		}
		s.adminListener, s.admin = ln, c.Admin
	}
	return s, nil
}

// strict wraps ln, an open listener, with the limits of l.
func (c *Config) strict(ln net.Listener, l Listener) net.Listener {
	return strictListener{
		Listener: ln, tls: l.TLS, log: c.Logger, open: &connections{bound: int64(l.MaxConnections)},
		headerTimeout: cmp.Or(l.HeaderTimeout, defaultHeaderTimeout), stallTimeout: cmp.Or(l.StallTimeout, defaultStallTimeout),
		proxyProtocol: l.ProxyProtocol, trusted: c.Life.Trusts,
	}
}

// httpServer makes net/http's server for a listener.
func (c *Config) httpServer(l Listener) *http.Server {
	d := &Door{Pace: Pace{
		Timeout: cmp.Or(l.BodyTimeout, defaultBodyTimeout), Rate: l.MinBodyRate, After: cmp.Or(l.RateAfter, defaultRateAfter),
	}}
	if l.TLS == nil {
		d.Challenge, d.Redirect = c.Challenge, l.Redirect
	}
	base := context.WithValue(c.Life.Life(), doorKey{}, d)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler:           c.Handler,
		Protocols:         protocols,
		ReadHeaderTimeout: cmp.Or(l.HeaderTimeout, defaultHeaderTimeout),
		IdleTimeout:       cmp.Or(l.IdleTimeout, defaultIdleTime),
		MaxHeaderBytes:    maxHeaderBytes,
		ConnContext:       withPlace,
		ErrorLog:          c.ErrorLog,
		BaseContext:       func(net.Listener) context.Context { return base },
	}
}

// Addrs returns the clients' addresses, in the order of Config.Clients.
func (s *Server) Addrs() []net.Addr {
	addrs := make([]net.Addr, len(s.clients))
	for i, ln := range s.clients {
		addrs[i] = ln.Addr()
	}
	return addrs
}

// AdminAddr returns the admin listener's address, nil without one.
func (s *Server) AdminAddr() net.Addr {
	if s.adminListener == nil {
		return nil
	}
	return s.adminListener.Addr()
}

// close closes listeners that were opened but never served.
func (s *Server) close() {
	for _, ln := range s.clients {
		_ = ln.Close() // nothing was accepted
	}
	if s.adminListener != nil {
		_ = s.adminListener.Close() // nothing was accepted
	}
}

// Serve serves until stop ends, then drains and returns nil. It returns
// earlier, with an error, when a listener fails or now ends: then requests in
// flight are cut off.
func (s *Server) Serve(stop, now context.Context) error {
	g, failed := errgroup.WithContext(context.Background())
	serve := func(srv interface{ Serve(net.Listener) error }, ln net.Listener) {
		g.Go(func() error {
			if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serving %s: %w", ln.Addr(), err)
			}
			return nil
		})
	}
	for i, ln := range s.clients {
		serve(s.servers[i], ln)
	}
	if s.admin != nil {
		serve(s.admin, s.adminListener)
	}
	select {
	case <-stop.Done():
		s.drain(now)
	case <-now.Done():
	case <-failed.Done():
	}
	s.life.End()
	for _, srv := range s.servers {
		_ = srv.Close() // the process ends anyway
	}
	if s.admin != nil {
		_ = s.admin.Close() // likewise
	}
	s.life.Close()
	if err := g.Wait(); err != nil {
		return err
	}
	if now.Err() != nil {
		return errors.New("stopped at once, without waiting for requests in flight")
	}
	return nil
}
