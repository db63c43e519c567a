package proxy

import (
	"cmp"
	"net"
	"net/http"
	"slices"
	"strings"

	"go.uber.org/zap"

	"powerjob-shim/rules/openapi"
)

// compiledRoute is a Route with its group.
type compiledRoute struct {
	name  string
	hosts []string // lower case; "*.x" as ".x"
	paths []string
	group *upstreamGroup
	rewriting
}

func newCompiledRoute(r Route, g *upstreamGroup) compiledRoute {
	c := compiledRoute{name: r.Name, group: g, paths: r.Paths, rewriting: rewriting{
		strip: strings.TrimSuffix(r.StripPrefix, "/"), add: strings.TrimSuffix(r.AddPrefix, "/"), context: g.settings.ContextPath,
	}}
	for _, h := range r.Hosts {
		c.hosts = append(c.hosts, strings.TrimPrefix(strings.ToLower(h), "*"))
	}
	if len(c.paths) == 0 {
		c.paths = []string{"*"}
	}
	return c
}

// everyPath reports whether the route is for all paths.
func (c *compiledRoute) everyPath() bool {
	return slices.ContainsFunc(c.paths, func(p string) bool { return p == "*" || p == "/*" })
}

// matches returns how specific the route is for a request, or ok false: an
// exact host before a wildcard, a longer wildcard before a shorter, any host
// last; then an exact path before a prefix, a longer prefix before a shorter.
func (c *compiledRoute) matches(host, path string) (hostRank, pathRank int, ok bool) {
	const exact = 1 << 20
	hostRank, pathRank = -1, -1
	if len(c.hosts) == 0 {
		hostRank = 0
	}
	for _, h := range c.hosts {
		switch {
		case h == host:
			hostRank = exact
		case strings.HasPrefix(h, ".") && strings.HasSuffix(host, h) && len(host) > len(h):
			hostRank = max(hostRank, len(h))
		}
	}
	for _, p := range c.paths {
		if prefix, cut := strings.CutSuffix(p, "*"); cut {
			if strings.HasPrefix(path, prefix) {
				pathRank = max(pathRank, len(prefix))
			}
		} else if p == path {
			pathRank = exact
		}
	}
	return hostRank, pathRank, hostRank >= 0 && pathRank >= 0
}

// routeFor returns the most specific route, the first of equals; nil: none.
func (s *snapshot) routeFor(host, path string) *compiledRoute {
	var best *compiledRoute
	bestHost, bestPath := -1, -1
	for i := range s.routes {
		h, p, ok := s.routes[i].matches(host, path)
		if ok && (h > bestHost || h == bestHost && p > bestPath) {
			best, bestHost, bestPath = &s.routes[i], h, p
		}
	}
	return best
}

// bareHost returns a Host header's name in lower case, without port, brackets
// and trailing dot.
func bareHost(host string) string {
	if strings.Contains(host, ":") {
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

const (
	manyReadings = "this path can be read as more than one; write it without empty, . or .. segments and without encoded slashes"
	manyRoutes   = "this path can be read as more than one, and routes depend on it; write it without empty, . or .. segments and without encoded slashes"
	encodedStrip = "this path begins with its route's strip_prefix in an encoded form; write it in plain letters"
)

// route finds out what a request is: its path as a server reads it, its group,
// its call and the rules for it. Its target goes on as it came, unless the route
// or the group's context path changes its beginning.
func (p *Proxy) route(next handler) handler {
	return func(w http.ResponseWriter, r *http.Request, ex *exchange) {
		target := requestURI(r)
		raw, _, _ := strings.Cut(target, "?")
		path, err := openapi.RoutePath(raw)
		switch {
		case err == nil:
		case openapi.MayBeOpenAPI(raw):
			ex.fail(w, http.StatusBadRequest, manyReadings)
			return
		case ex.snap.byPath:
			ex.fail(w, http.StatusBadRequest, manyRoutes)
			return
		default:
			path = raw
		}
		if path == "" {
			path = "/"
		}
		route := ex.snap.routeFor(bareHost(r.Host), path)
		if route == nil {
			ex.fail(w, http.StatusNotFound, "no route for this host and path; add one under routes")
			return
		}
		ex.route, ex.group, ex.target = route.name, route.group, target
		ex.path, ex.ambiguous = path, err != nil
		if refusal := ex.rewrite(route.rewriting, raw); refusal != "" {
			ex.fail(w, http.StatusBadRequest, refusal)
			return
		}
		ex.findCall()
		if ex.outside {
			p.noteOutside(ex)
		}
		ex.match = ex.snap.Rules.For(r.Method, r.Host, ex.path)
		next(w, r, ex)
	}
}

// rewrite makes the target and the path those that the server gets. It returns
// why the request must be refused; "": it need not be.
func (ex *exchange) rewrite(rw rewriting, raw string) (refusal string) {
	if rw == (rewriting{}) {
		return ""
	}
	changed, ok := rw.path(raw)
	if !ok {
		return encodedStrip
	}
	if changed == raw {
		return ""
	}
	ex.target = changed + ex.target[len(raw):]
	path, err := openapi.RoutePath(changed)
	if err != nil {
		if openapi.MayBeOpenAPI(changed) {
			return manyReadings
		}
		path = changed
	}
	ex.path, ex.ambiguous = cmp.Or(path, "/"), err != nil
	return ""
}

// findCall finds the call that the server's path names; then the path is written
// as the rules have it, without the context path.
func (ex *exchange) findCall() {
	if rest, ok := strings.CutPrefix(ex.path, ex.group.settings.prefix()); ok && strings.HasPrefix(rest, "/") {
		ex.path = openapi.Prefix[:len(openapi.Prefix)-1] + rest
		ex.call = openapi.ByPath(ex.path)
		return
	}
	_, call := outside(ex.path)
	ex.outside = call != nil
}

// noteOutside counts a known call that passes outside the prefix, and so by all
// rules. The first one of a group is logged with what to set.
func (p *Proxy) noteOutside(ex *exchange) {
	before, call := outside(ex.path)
	p.metrics.Outside.WithLabelValues(call.Name).Inc()
	g := ex.group
	if g.outsideSeen.Swap(true) {
		return
	}
	cure := "set upstreams." + g.name + ".openapi_prefix: " + before + "/openApi if the servers run under the context path " + before +
		", or strip_prefix: " + before + " on the route if they do not"
	switch context := g.settings.ContextPath; {
	case context != "":
		cure = "set strip_prefix: " + strings.TrimPrefix(before, context) + " on the route; the servers' context path is " + context
	case before == "":
		cure = "set upstreams." + g.name + ".openapi_prefix: /openApi if the servers run under no context path, or add_prefix: " +
			strings.TrimSuffix(g.settings.prefix(), "/openApi") + " on the route if they do"
	}
	p.log.Warn("a PowerJob call passes outside openapi_prefix: it is not taken for one, and 5.x clients send it twice; "+cure,
		zap.String(fieldRequestID, ex.id), zap.String(fieldUpstream, g.name), zap.String(fieldRoute, ex.route),
		zap.String(fieldCall, call.Name), zap.String(fieldPath, ex.path), zap.String("openapi_prefix", g.settings.prefix()))
}

// requestURI is the request target in origin-form, byte for byte as it came:
// what is left of an absolute-form one (RFC 9112, 3.2.2) after the authority.
func requestURI(r *http.Request) string {
	uri := r.RequestURI
	if strings.HasPrefix(uri, "/") {
		return uri
	}
	if _, rest, ok := strings.Cut(uri, "://"); ok {
		if i := strings.IndexAny(rest, "/?"); i >= 0 {
			if rest[i] == '?' {
				return "/" + rest[i:]
			}
			return rest[i:]
		}
	}
	return "/"
}
