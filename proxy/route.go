package proxy

import (
	"net"
	"net/http"
	"slices"
	"strings"

	"powerjob-shim/rules/openapi"
)

// compiledRoute is a Route with its group.
type compiledRoute struct {
	name  string
	hosts []string // lower case; "*.x" as ".x"
	paths []string
	group *upstreamGroup
}

func newCompiledRoute(r Route, g *upstreamGroup) compiledRoute {
	c := compiledRoute{name: r.Name, group: g, paths: r.Paths}
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

// route finds out what a request is: its path as a server reads it, its group,
// its call and the rules for it. The request itself goes on as it came.
func (p *Proxy) route(next handler) handler {
	return func(w http.ResponseWriter, r *http.Request, ex *exchange) {
		raw, _, _ := strings.Cut(requestURI(r), "?")
		path, err := openapi.RoutePath(raw)
		if err != nil {
			if openapi.MayBeOpenAPI(raw) {
				ex.fail(w, http.StatusBadRequest, "this path can be read as more than one; write it without empty, . or .. segments and without encoded slashes")
				return
			}
			if ex.snap.byPath {
				ex.fail(w, http.StatusBadRequest, "this path can be read as more than one, and routes depend on it; write it without empty, . or .. segments and without encoded slashes")
				return
			}
			path, ex.ambiguous = raw, true
		}
		if path == "" {
			path = "/"
		}
		route := ex.snap.routeFor(bareHost(r.Host), path)
		if route == nil {
			ex.fail(w, http.StatusNotFound, "no route for this host and path; add one under routes")
			return
		}
		ex.route, ex.group = route.name, route.group
		prefix := route.group.settings.prefix()
		if rest, ok := strings.CutPrefix(path, prefix); ok && strings.HasPrefix(rest, "/") {
			path = openapi.Prefix[:len(openapi.Prefix)-1] + rest
			ex.call = openapi.ByPath(path)
		}
		ex.path = path
		ex.match = ex.snap.Rules.For(r.Method, r.Host, path)
		next(w, r, ex)
	}
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
