package proxy

import (
	"cmp"
	"net/http"
	"strings"

	"go.uber.org/zap"

	"powerjob-shim/rules/hosts"
	"powerjob-shim/rules/openapi"
)

// routeFor returns a request's route: a fallback where no other one is for it,
// and nil without either. byPath reports that its path had to decide, so that
// there must be only one way to read it.
func (s *snapshot) routeFor(at destination) (route *compiledRoute, byPath bool) {
	if route = s.routes.find(at); route == nil {
		route = s.fallbacks.find(at)
	}
	return route, s.routes.byPath(at.host)
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
		if err != nil {
			path = raw
		}
		path = cmp.Or(path, "/")
		route, byPath := ex.snap.routeFor(destination{hosts.Bare(r.Host), path, strings.HasSuffix(raw, "/")})
		switch {
		case err != nil && openapi.MayBeOpenAPI(raw) && !route.observing(ex.snap):
			ex.fail(w, http.StatusBadRequest, manyReadings)
			return
		case err != nil && byPath:
			ex.fail(w, http.StatusBadRequest, manyRoutes)
			return
		case route == nil:
			ex.fail(w, http.StatusNotFound, "no route for this host and path; add one under routes, or an Ingress where the controller serves")
			return
		}
		ex.route, ex.group, ex.target = route.name, route.group, target
		if route.refuse != "" {
			ex.fail(w, http.StatusServiceUnavailable, route.refuse)
			return
		}
		if route.snap != nil {
			ex.snap = route.snap
		}
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

// observing reports whether requests of this route, which may be nil, are only
// observed; s is the snapshot that it was found in.
func (c *compiledRoute) observing(s *snapshot) bool {
	if c != nil && c.snap != nil {
		return c.snap.Observing
	}
	return s.Observing
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
	if rest, ok := strings.CutPrefix(ex.path, ex.group.settings.Prefix()); ok && strings.HasPrefix(rest, "/") {
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
			strings.TrimSuffix(g.settings.Prefix(), "/openApi") + " on the route if they do"
	}
	p.log.Warn("a PowerJob call passes outside openapi_prefix: it is not taken for one, and 5.x clients send it twice; "+cure,
		zap.String(fieldRequestID, ex.id), zap.String(fieldUpstream, g.name), zap.String(fieldRoute, ex.route),
		zap.String(fieldCall, call.Name), zap.String(fieldPath, ex.path), zap.String("openapi_prefix", g.settings.Prefix()))
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
