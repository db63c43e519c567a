package proxy

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"powerjob-shim/proxy/listen"
)

// What Listener's timeouts are by default.
const (
	defaultHeaderTimeout = 10 * time.Second
	defaultBodyTimeout   = 30 * time.Second
	defaultIdleTime      = 6 * time.Minute
)

// Listeners says where to listen.
type Listeners struct {
	Clients []Listener
	Admin   string // host:port; "" : no admin listener

	// Challenge answers what a certificate authority asks on plain listeners
	// to see who holds a name (RFC 8555, 8.3), and reports whether it did.
	// nil: every request goes upstream.
	Challenge func(http.ResponseWriter, *http.Request) bool

	// AdminTokenFile holds the token that the admin listener asks for, but for
	// /healthz and /readyz. "": it asks for none, and, unless Admin is a loopback
	// address, shows neither the status page nor lists of calls and clients.
	AdminTokenFile string

	Gatherer prometheus.Gatherer // for /metrics; nil: none
	Pprof    bool

	adminTimes adminTimes
}

// Listener is one address for clients.
type Listener struct {
	Address string // host:port

	// TLS makes it an https listener. It must not offer h2: HTTP/2 lowercases
	// the header that the clients look for. nil: plain HTTP.
	TLS *tls.Config

	// ProxyProtocol says whether connections begin with a PROXY header. The zero
	// value is ProxyOff.
	ProxyProtocol ProxyProtocol

	// Redirect sends plain requests to https. nil: they are served.
	Redirect *Redirect

	// MaxConnections bounds the open connections: up to twice as many are
	// accepted, those beyond the bound only to be answered with 503. 0: no bound.
	MaxConnections int

	// HeaderTimeout ends connections that take longer for the TLS handshake or
	// for a request's header. They are closed without an answer, or with 400 in
	// the first line: OkHttp would repeat a request on a 408. 0: 10 s.
	HeaderTimeout time.Duration

	// BodyTimeout is how long a request's body may stand still; 400 then. There
	// is no limit for all of it: an upload may take its time. 0: 30 s.
	BodyTimeout time.Duration

	// MinBodyRate is how many bytes of a request's body must come a second, on
	// average, once 30 s were spent waiting for the caller; 400 then. How long the
	// server takes to read does not count. 0: any.
	MinBodyRate int64
	rateAfter   time.Duration // for tests; 0: 30 s

	// StallTimeout lets a caller go that takes nothing of what is written to it
	// for so long, tunnels included. 0: 30 s.
	StallTimeout time.Duration

	// IdleTimeout closes unused connections. By default it is longer than the 5
	// minutes after which OkHttp closes them, so that the client is the one who
	// closes: no call is written to a connection that is being closed. 0: 6 min.
	IdleTimeout time.Duration
}

// Server is a Proxy with its open listeners.
type Server struct {
	proxy     *Proxy
	clients   []net.Listener
	servers   []*listen.Server // of clients, one each
	admin     net.Listener     // nil: none
	adminHTTP *http.Server
}

// Listen opens all listeners and serves none of them yet. On an error it
// leaves none open.
func (p *Proxy) Listen(l Listeners) (*Server, error) {
	errorLog, err := zap.NewStdLogAt(p.log, zap.WarnLevel)
	if err != nil {
		return nil, fmt.Errorf("making the servers' log: %w", err)
	}
	admin := p.Admin(AdminOptions{Gatherer: l.Gatherer, Pprof: l.Pprof, TokenFile: l.AdminTokenFile, Local: loopbackOnly(l.Admin)})
	s := &Server{proxy: p, adminHTTP: l.adminTimes.server(admin)}
	s.adminHTTP.ErrorLog = errorLog
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
			d := &door{pace: bodyPace{
				timeout: cmp.Or(c.BodyTimeout, defaultBodyTimeout), rate: c.MinBodyRate, after: cmp.Or(c.rateAfter, defaultRateAfter),
			}}
			if c.TLS == nil {
				d.challenge, d.redirect = l.Challenge, c.Redirect
			}
			headers := cmp.Or(c.HeaderTimeout, defaultHeaderTimeout)
			s.clients = append(s.clients, strictListener{
				Listener: ln, tls: c.TLS, log: p.log, open: &connections{bound: int64(c.MaxConnections)},
				headerTimeout: headers, stallTimeout: cmp.Or(c.StallTimeout, defaultStallTimeout),
				proxyProtocol: c.ProxyProtocol, trusted: func() []netip.Prefix { return p.snap.Load().TrustedProxies },
			})
			s.servers = append(s.servers, &listen.Server{
				HTTP: p.httpServer(d, headers, cmp.Or(c.IdleTimeout, defaultIdleTime), errorLog), Plain: p.plainCalls(), Watch: p.dedupState.shared,
			})
		}
	}
	if l.Admin != "" {
		if ln := open(l.Admin); ln != nil {
			s.admin = l.adminTimes.listener(ln)
		}
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// httpServer makes the one of a listener.
func (p *Proxy) httpServer(d *door, headers, idle time.Duration, errorLog *log.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	base := context.WithValue(p.life, doorKey{}, d)
	return &http.Server{
		Handler:           p,
		Protocols:         protocols,
		ReadHeaderTimeout: headers,
		IdleTimeout:       idle,
		MaxHeaderBytes:    maxHeaderBytes,
		ConnContext:       withPlace,
		ErrorLog:          errorLog,
		BaseContext:       func(net.Listener) context.Context { return base },
	}
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
		serve(s.adminHTTP, s.admin)
	}
	select {
	case <-stop.Done():
		s.drain(now)
	case <-now.Done():
	case <-failed.Done():
	}
	s.proxy.end(errStopping)
	for _, srv := range s.servers {
		_ = srv.Close() // the process ends: nothing is left to be done about it
	}
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
