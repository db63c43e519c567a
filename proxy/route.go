package proxy

import (
	"cmp"
	"net/http"
	"strings"

	"go.uber.org/zap"

	"powerjob-shim/metrics"
	"powerjob-shim/rules/hosts"
	"powerjob-shim/rules/openapi"
)

const (
	manyReadings = "this path can be read as more than one; write it without empty, . or .. segments and without encoded slashes"
	manyRoutes   = "this path can be read as more than one, and routes depend on it; write it without empty, . or .. segments and without encoded slashes"
	encodedStrip = "this path begins with its route's strip_prefix in an encoded form; write it in plain letters"
)

// Route finds out where a request goes.
type Route_ struct {
	Log     *zap.Logger
	Metrics *metrics.Metrics
}

// Link finds out what a request is: its path as a server reads it, its group,
// its call and the rules for it. Its target goes on as it came, unless the route
// or the group's context path changes its beginning.
func (l Route_) Link(next Handler) Handler {
	return func(w http.ResponseWriter, r *http.Request, ex *Exchange) {
		target := requestURI(r)
		raw, _, _ := strings.Cut(target, "?")
		path, err := openapi.RoutePath(raw)
		if err != nil {
			path = raw
		}
		path = cmp.Or(path, "/")
		route, byPath := ex.snap.routeFor(destination{host: hosts.Bare(r.Host), path: path, slash: strings.HasSuffix(raw, "/")})
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
		if refusal := rewrite(ex, route.rewriting, raw); refusal != "" {
			ex.fail(w, http.StatusBadRequest, refusal)
			return
		}
		findCall(ex)
		if ex.outside {
			l.noteOutside(ex)
		}
		ex.match = ex.snap.Rules.For(r.Method, r.Host, ex.path)
		next(w, r, ex)
	}
}

// rewrite makes the target and the path those that the server gets. It returns
// why the request must be refused; "": it need not be.
func rewrite(ex *Exchange, rw rewriting, raw string) (refusal string) {
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
func findCall(ex *Exchange) {
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
func (l Route_) noteOutside(ex *Exchange) {
	before, call := outside(ex.path)
	l.Metrics.Outside.WithLabelValues(call.Name).Inc()
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
	l.Log.Warn("a PowerJob call passes outside openapi_prefix: it is not taken for one, and 5.x clients send it twice; "+cure,
		zap.String(fieldRequestID, ex.id), zap.String(fieldUpstream, g.name), zap.String(fieldRoute, ex.route),
		zap.String(fieldCall, call.Name), zap.String(fieldPath, ex.path), zap.String("openapi_prefix", g.settings.Prefix()))
}

// outside returns what stands before the prefix in a path that ends like a known
// call's and is not under the servers' prefix: "/x" of "/x/openApi/saveJob".
func outside(path string) (before string, call *openapi.Call) {
	i := strings.LastIndex(path, openapi.Prefix)
	if i < 0 {
		return "", nil
	}
	return path[:i], openapi.ByPath(path[i:])
}
