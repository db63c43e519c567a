// Package listen listens for callers: it opens addresses, bounds their connections,
// shakes hands, and stops in good order. It knows which connection a request came on,
// and nothing of what it asks for: one [http.Handler] serves them all.
//
//	s, err := listen.Open(listen.Config{Handler: h, Life: life, Logger: log,
//		Clients: []listen.Listener{{Address: ":7700"}}})
//	err = s.Serve(stop, now)
//
// All listeners are open before any serves. When stop ends, the server drains: see
// [Lifecycle]. The handler learns from [PlaceOf] and [DoorOf] what matters to it of
// connection and listener.
//
// Connections are served by package plain, below this one: plain requests by itself,
// others by net/http's server. Clients are spoken to in HTTP/1.1 only.
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

// maxHeaderBytes bounds a request's header; past it net/http answers 431.
// Spring Boot takes 8 KiB.
const maxHeaderBytes = 64 << 10

// Config is what a Server is made of.
type Config struct {
	Handler  http.Handler
	Life     Lifecycle
	Logger   *zap.Logger
	ErrorLog *log.Logger // where net/http's servers complain; nil: the standard log

	Clients []Listener

	// Plain tells which plain requests may be served without net/http's server: see
	// [plain.Server]. nil: none.
	Plain func(target string, length int64) bool
	// Watch: whoever waits for the hang-up of a plain request's caller learns of it at
	// once. See [plain.Server].
	Watch bool

	// Challenge answers what a certificate authority asks on plain listeners
	// to see who holds a name (RFC 8555, 8.3), and reports whether it did. It is
	// given to the handler (see Door). nil: there is none.
	Challenge func(http.ResponseWriter, *http.Request) bool

	// AdminAddress is where Admin listens: a host and a port. "": it does not.
	AdminAddress string
	Admin        Admin // nil without AdminAddress
}

// Admin is a server of its own, which goes on until the clients' servers have ended, so
// that it can tell that they drain. *http.Server is one.
type Admin interface {
	Serve(net.Listener) error // http.ErrServerClosed after Close
	Close() error
}

// Server has open listeners. Make one with Open.
type Server struct {
	life    Lifecycle
	log     *zap.Logger
	clients []net.Listener
	servers []*plain.Server // of clients, one each

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

// strict returns an open listener with the limits of l.
func (c *Config) strict(ln net.Listener, l Listener) net.Listener {
	return strictListener{
		Listener: ln, tls: l.TLS, log: c.Logger, open: &connections{bound: int64(l.MaxConnections)},
		headerTimeout: cmp.Or(l.HeaderTimeout, defaultHeaderTimeout), stallTimeout: cmp.Or(l.StallTimeout, defaultStallTimeout),
		proxyProtocol: l.ProxyProtocol, trusted: c.Life.Trusts,
	}
}

// httpServer makes the server of a listener.
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

// close releases listeners that are not served.
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
		_ = srv.Close() // the process ends: nothing is left to be done about it
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
