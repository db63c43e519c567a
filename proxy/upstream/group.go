package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/net/http/httpguts"

	"powerjob-shim/metrics"
	"powerjob-shim/proxy/upstream/connect"
	"powerjob-shim/proxy/upstream/conversation"
	"powerjob-shim/proxy/upstream/probe"
)

// The log's fields for a group and for one of its servers.
const (
	FieldGroup  = "upstream"
	FieldServer = "upstream_server"
)

// Options are what a group works with. Logger, Metrics and Dialer must be set.
type Options struct {
	Logger  *zap.Logger
	Metrics *metrics.Metrics
	Dialer  *connect.Dialer

	// Probe asks each server whether it is a PowerJob server, at the start and until
	// the server is ready.
	Probe bool

	// Host returns the Host header of the group's own questions to servers that
	// otherwise get the caller's Host. Nil or "": the server's address.
	Host func() string
}

// Group is a group of servers with the connections to them. Its fields must not be
// changed. Safe for concurrent use.
type Group struct {
	Name     string
	Settings Settings
	Servers  []*Server

	// Connections carries the requests to the servers.
	Connections *conversation.Pool

	log     *zap.Logger
	metrics *metrics.Metrics
	dials   map[string]*connect.Server // makes connections, by the server's name
	targets map[*Server]*probe.Target  // for questions to the servers
	probers map[*Server]*probe.Prober  // nil: servers are not probed
	host    func() string              // see Options.Host
	load    *load
	stop    context.CancelFunc // ends what Start began
}

// New makes a group. old is the earlier group of that name, whose servers and load the
// new one takes over; nil: there was none. The error joins all problems of the settings.
func New(name string, u Settings, old *Group, o Options) (*Group, error) {
	if len(u.Servers) == 0 && !u.Dynamic {
		return nil, errors.New("servers: at least one is needed")
	}
	g := &Group{
		Name: name, Settings: u, log: o.Logger, metrics: o.Metrics, host: o.Host, load: new(load), stop: func() {},
		dials: map[string]*connect.Server{}, targets: map[*Server]*probe.Target{},
	}
	if o.Probe {
		g.probers = map[*Server]*probe.Prober{}
	}
	// Connections go to the named servers themselves: proxy settings of the environment
	// are ignored.
	g.Connections = &conversation.Pool{
		HeadTimeout: u.Timeout, IdleTimeout: u.idleLimit(),
		Suspect: g.suspect, Trusted: g.trusted,
		Connect: func(ctx context.Context, server string, wrap func(net.Conn) net.Conn) (net.Conn, error) {
			return g.dials[server].DialOver(ctx, wrap)
		},
	}
	if old != nil {
		g.load = old.load
	}
	var errs []error
	if err := u.TLS.Check(); err != nil {
		errs = append(errs, fmt.Errorf("tls: %w", err))
	}
	secure := connect.NewTLS(u.serverTLS())
	for _, base := range u.Servers {
		if err := checkServer(base); err != nil {
			errs = append(errs, err)
			continue
		}
		s := old.serverAt(base)
		if g.Server(s.Name) != nil {
			errs = append(errs, fmt.Errorf("servers: %s is listed twice", s.Name))
			continue
		}
		g.add(s, secure, o)
	}
	return g, errors.Join(errs...)
}

func checkServer(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("servers: %s: the scheme must be http or https", u.Redacted())
	case u.Hostname() == "":
		return fmt.Errorf("servers: %s: the host is missing", u.Redacted())
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.User != nil:
		return fmt.Errorf("servers: %s: only scheme, host and port are allowed; a context path goes into ContextPath", u.Redacted())
	}
	return nil
}

// serverAt returns the group's server with this address, or a new server. g may be nil.
func (g *Group) serverAt(base *url.URL) *Server {
	if g != nil {
		for _, s := range g.Servers {
			if *s.URL == *base {
				return s
			}
		}
	}
	return &Server{URL: base, Name: hostPort(base)}
}

// add adds a server. secure is used for https servers only.
func (g *Group) add(s *Server, secure *connect.TLS, o Options) {
	g.Servers = append(g.Servers, s)
	if s.URL.Scheme != "https" {
		secure = nil
	}
	d := connect.NewServer(asciiName(s.Name), secure, o.Dialer)
	d.Moved = func(named []netip.Addr) { g.Connections.Retire(s.Name, named) }
	g.dials[s.Name] = d
	target := &probe.Target{
		Group: g.Name, Scheme: s.URL.Scheme, Server: s.Name, Prefix: g.Settings.Prefix(),
		Host: func() string { return g.AskedHost(s) },
		Dial: d.Dial, Client: probe.NewClient(d.Dial),
	}
	g.targets[s] = target
	if o.Probe {
		g.probers[s] = probe.New(target, g.log.With(zap.String(FieldGroup, g.Name), zap.String(FieldServer, s.Name)))
	}
}

// Server returns the group's server of that name, or nil.
func (g *Group) Server(name string) *Server {
	for _, s := range g.Servers {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// Start begins a group's background work: probes, health checks, and looking names up
// again. The work ends with life or Close, and is counted in running. Start is called
// once, before the first request.
func (g *Group) Start(life context.Context, running *sync.WaitGroup) {
	g.metrics.Unasked.WithLabelValues(g.Name) // from the start, at 0
	life, g.stop = context.WithCancel(life)
	for _, s := range g.Servers {
		s.keep(g.Settings.Health)
		active := g.Settings.Health.Active
		if active != nil {
			c := newChecker(g, s)
			running.Go(g.logged(func() { c.run(life) }))
		}
		if p := g.probers[s]; p != nil && (active == nil || active.TCP) { // other checks tell the prober their results
			running.Go(g.logged(func() { p.Run(life) }))
		}
	}
	if slices.ContainsFunc(g.Servers, func(s *Server) bool { return g.dials[s.Name].HasName() }) {
		running.Go(g.logged(func() { g.lookUpAgain(life) }))
	}
}

// logged returns a function that runs f and then syncs the log, also if f panics: on a
// goroutine of its own a panic ends the process.
func (g *Group) logged(f func()) func() {
	return func() {
		defer func() { _ = g.log.Sync() }()
		f()
	}
}

// Close ends what Start began and closes unused connections. Connections in use end
// with their requests, or IdleTimeout later.
func (g *Group) Close() {
	g.stop()
	g.Connections.CloseIdle()
}

// lookUpAgain looks the servers' names up from time to time. Unused connections to
// addresses that a name no longer has are closed. If a lookup fails, all stay.
func (g *Group) lookUpAgain(life context.Context) {
	t := time.NewTicker(g.Settings.idleLimit())
	defer t.Stop()
	failing := map[string]bool{}
	for {
		select {
		case <-t.C:
		case <-life.Done():
			return
		}
		for name, d := range g.dials {
			if !d.HasName() {
				continue
			}
			err := d.LookUp(life)
			if err != nil && !failing[name] && life.Err() == nil {
				g.log.Warn("looking up an upstream server's name failed; its last known addresses are used",
					zap.String(FieldGroup, g.Name), zap.String(FieldServer, name), zap.Error(err))
			}
			failing[name] = err != nil
		}
	}
}

// Dial makes a new connection to one of the group's servers, with TLS if it is an
// https server.
func (g *Group) Dial(ctx context.Context, s *Server) (net.Conn, error) {
	return g.dials[s.Name].Dial(ctx)
}

// AskedHost returns the Host header of the shim's own questions to a server; "": the
// server's address.
func (g *Group) AskedHost(s *Server) string {
	if host := g.Settings.hostFor(s); host != "" || g.host == nil {
		return host
	}
	return g.host()
}

// asciiName returns a server's name in the ASCII form that is looked up.
func asciiName(name string) string {
	ascii, err := httpguts.PunycodeHostPort(name)
	if err != nil {
		return name
	}
	return ascii
}
