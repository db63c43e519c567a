package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/net/http/httpguts"

	"powerjob-shim/proxy/upstream/connect"
	"powerjob-shim/proxy/upstream/conversation"
	"powerjob-shim/rules/access"
)

// upstreamGroup is a group of servers with the connections to them.
type upstreamGroup struct {
	name        string
	settings    Upstream
	servers     []*server
	links       map[string]*connect.Server // how each server is connected to, by its name
	connections *conversation.Pool
	probing     *http.Transport     // makes a new connection for each question
	probers     map[*server]*prober // nil: servers are not probed
	load        *load
	hop         []string           // see Proxy.hop; set before the group is used
	stop        context.CancelFunc // ends what start began

	// routedHost is the first exact host of the group's routes, for questions to
	// servers that get the callers' Host; nil where no route has an exact host. Reloads change it.
	routedHost atomic.Pointer[string]

	outsideSeen atomic.Bool // a call outside the prefix was logged

	issuer   *access.Issuer // of the login bridge; nil: the servers log in themselves
	asserted asserted
}

// load is what a group has to carry. It outlives reloads that change the
// group's settings, and so do its servers: bounds hold over them, and a server
// that was found broken is not tried anew because a timeout changed.
type load struct {
	requests atomic.Int64
	ejecting sync.Mutex // one ejection at a time
}

// newUpstreamGroup makes a group. old is the group of that name before, nil if
// there was none.
func newUpstreamGroup(name string, u Upstream, old *upstreamGroup, dialer *connect.Dialer) (*upstreamGroup, error) {
	if len(u.Servers) == 0 && !u.Dynamic {
		return nil, errors.New("servers: at least one is needed")
	}
	g := &upstreamGroup{name: name, settings: u, links: map[string]*connect.Server{}, load: new(load), stop: func() {}}
	g.connections, g.probing = newConnections(g), newProbing(g)
	if old != nil {
		g.load = old.load
	}
	if u.Bridge != nil {
		g.issuer = access.NewIssuer(name, *u.Bridge)
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
		s := old.server(base)
		if slices.ContainsFunc(g.servers, func(o *server) bool { return o.name == s.name }) {
			errs = append(errs, fmt.Errorf("servers: %s is listed twice", s.name))
			continue
		}
		g.servers = append(g.servers, s)
		tls := secure
		if base.Scheme != "https" {
			tls = nil
		}
		link := connect.NewServer(asciiName(s.name), tls, dialer)
		link.Moved = func(named []netip.Addr) { g.connections.Retire(s.name, named) }
		g.links[s.name] = link
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

// server returns the group's server with this address, or a new one. g may be nil.
func (g *upstreamGroup) server(base *url.URL) *server {
	if g != nil {
		for _, s := range g.servers {
			if *s.url == *base {
				return s
			}
		}
	}
	return &server{url: base, name: hostPort(base)}
}

// hostPort returns the address to connect to.
func hostPort(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Host
	case u.Scheme == "https":
		return u.Host + ":443"
	}
	return u.Host + ":80"
}

// start begins what a group does on its own: probes, health checks, and looking
// names up again. It ends with life or close; running waits for it. probing:
// servers are probed.
func (g *upstreamGroup) start(life context.Context, running *sync.WaitGroup, probing bool, log *zap.Logger) {
	life, g.stop = context.WithCancel(life)
	if probing {
		g.probers = make(map[*server]*prober, len(g.servers))
	}
	for _, s := range g.servers {
		s.keep(g.settings.Health)
		var p *prober
		if probing {
			p = newProber(g, s, log)
			g.probers[s] = p
		}
		active := g.settings.Health.Active
		if active != nil {
			c := newChecker(g, s, log)
			c.probed = p
			running.Go(logged(log, func() { c.run(life) }))
		}
		if p != nil && (active == nil || active.TCP) { // else the checks are the probes
			running.Go(logged(log, func() { p.run(life) }))
		}
	}
	if slices.ContainsFunc(g.servers, func(s *server) bool { return g.links[s.name].HasName() }) {
		running.Go(logged(log, func() { g.lookUpAgain(life, log) }))
	}
}

// logged is f, which runs on a goroutine of its own: a panic there ends the
// process, and what led to it is written before.
func logged(log *zap.Logger, f func()) func() {
	return func() {
		defer func() { _ = log.Sync() }()
		f()
	}
}

// close ends what start began and closes unused connections. Those in use end
// with their requests, or IdleTimeout later.
func (g *upstreamGroup) close() {
	g.stop()
	g.connections.CloseIdle()
}

// lookUpAgain looks the servers' names up from time to time. Connections to
// addresses that a name has left end; while it cannot be looked up, all stay.
func (g *upstreamGroup) lookUpAgain(life context.Context, log *zap.Logger) {
	t := time.NewTicker(g.settings.idleTimeout())
	defer t.Stop()
	failing := map[string]bool{}
	for {
		select {
		case <-t.C:
		case <-life.Done():
			return
		}
		for name, link := range g.links {
			if !link.HasName() {
				continue
			}
			err := link.LookUp(life)
			if err != nil && !failing[name] && life.Err() == nil {
				log.Warn("looking up an upstream server's name failed; its last known addresses are used",
					zap.String(fieldUpstream, g.name), zap.String(fieldUpstreamServer, name), zap.Error(err))
			}
			failing[name] = err != nil
		}
	}
}

// dial connects to the server with this name, with TLS if it is an https server.
func (g *upstreamGroup) dial(ctx context.Context, name string) (net.Conn, error) {
	return g.link(name).Dial(ctx)
}

// link returns how the server with this name is connected to.
func (g *upstreamGroup) link(name string) *connect.Server {
	link := g.links[name]
	if link == nil { // net/http gives names in ASCII
		for _, s := range g.servers {
			if asciiName(s.name) == name {
				link = g.links[s.name]
			}
		}
	}
	return link
}

// asciiName returns a server's name as it is looked up.
func asciiName(name string) string {
	ascii, err := httpguts.PunycodeHostPort(name)
	if err != nil {
		return name
	}
	return ascii
}

// admit counts a request in, unless the group has as many as it may. Each one
// that is admitted must call leave.
func (g *upstreamGroup) admit() bool { return take(&g.load.requests, g.settings.MaxRequests) }

func (g *upstreamGroup) leave() { g.load.requests.Add(-1) }

// take adds one to n unless that would be more than bound. 0: no bound.
func take(n *atomic.Int64, bound int) bool {
	if after := n.Add(1); bound > 0 && after > int64(bound) {
		n.Add(-1)
		return false
	}
	return true
}

// candidates returns the servers in the order in which a request tries them:
// the less loaded of two random ones first; then, as a last resort, those that
// are not up, the most promising ones first. The result may be shared: read it
// only.
func (g *upstreamGroup) candidates() []*server {
	if len(g.servers) == 1 {
		return g.servers
	}
	order := make([]*server, 0, len(g.servers))
	var rest []*server
	now := time.Now()
	for _, i := range rand.Perm(len(g.servers)) { //nolint:gosec // spreading load needs no secret
		if s := g.servers[i]; s.standing(now) == standingUp {
			order = append(order, s)
		} else {
			rest = append(rest, s)
		}
	}
	if len(order) > 1 && order[1].inFlight.Load() < order[0].inFlight.Load() {
		order[0], order[1] = order[1], order[0]
	}
	slices.SortStableFunc(rest, func(a, b *server) int { return cmp.Compare(a.standing(now), b.standing(now)) })
	return append(order, rest...)
}
