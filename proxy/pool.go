package proxy

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"powerjob-shim/rules/access"
)

// retryAfter is how long a server that refused a connection is tried last.
const retryAfter = 5 * time.Second

// server is one server of a group. Safe for concurrent use.
type server struct {
	url  *url.URL
	name string // host:port

	inFlight    atomic.Int64
	failedUntil atomic.Int64 // Unix nanoseconds: connecting failed a short while ago
}

// usable reports whether the server is expected to take connections. This is
// where health checks have their say.
func (s *server) usable(now time.Time) bool { return now.UnixNano() >= s.failedUntil.Load() }

func (s *server) failed(now time.Time) { s.failedUntil.Store(now.Add(retryAfter).UnixNano()) }

func (s *server) answered() {
	if s.failedUntil.Load() != 0 {
		s.failedUntil.Store(0)
	}
}

// upstreamGroup is a group of servers with the connections to them.
type upstreamGroup struct {
	name      string
	settings  Upstream
	servers   []*server
	transport *http.Transport

	issuer   *access.Issuer // of the login bridge; nil: the servers log in themselves
	asserted asserted
}

func newUpstreamGroup(name string, u Upstream) (*upstreamGroup, error) {
	if len(u.Servers) == 0 {
		return nil, errors.New("servers: at least one is needed")
	}
	g := &upstreamGroup{name: name, settings: u, transport: newTransport(u)}
	if u.Bridge != nil {
		g.issuer = access.NewIssuer(name, *u.Bridge)
	}
	var errs []error
	for _, base := range u.Servers {
		if err := checkServer(base); err != nil {
			errs = append(errs, err)
			continue
		}
		g.servers = append(g.servers, &server{url: base, name: hostPort(base)})
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
		return fmt.Errorf("servers: %s: only scheme, host and port are allowed; a context path goes into openapi_prefix", u.Redacted())
	}
	return nil
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

// candidates returns the servers in the order in which a request tries them:
// the less loaded of two random ones first, those that lately refused a
// connection last. The result may be shared: read it only.
func (g *upstreamGroup) candidates() []*server {
	if len(g.servers) == 1 {
		return g.servers
	}
	order := make([]*server, 0, len(g.servers))
	var failed []*server
	now := time.Now()
	for _, i := range rand.Perm(len(g.servers)) { //nolint:gosec // spreading load needs no secret
		if s := g.servers[i]; s.usable(now) {
			order = append(order, s)
		} else {
			failed = append(failed, s)
		}
	}
	if len(order) > 1 && order[1].inFlight.Load() < order[0].inFlight.Load() {
		order[0], order[1] = order[1], order[0]
	}
	return append(order, failed...)
}
