package link

import (
	"net/http"
	"strings"

	"go.uber.org/zap"

	"powerjob-shim/metrics"
	"powerjob-shim/proxy/exchange"
	"powerjob-shim/proxy/routing"
	"powerjob-shim/rules/hosts"
	"powerjob-shim/rules/openapi"
)

const (
	manyReadings = "this path can be read as more than one; write it without empty, . or .. segments and without encoded slashes"
	manyRoutes   = "this path can be read as more than one, and routes depend on it; write it without empty, . or .. segments and without encoded slashes"
	encodedStrip = "this path begins with its route's strip_prefix in an encoded form; write it in plain letters"
)

// Route is the link that finds out where a request goes.
type Route struct {
	Log     *zap.Logger
	Metrics *metrics.Metrics
}

// Link finds out what a request is: its path as a server reads it, its group,
// its call and the rules for it. Its target goes on as it came, unless the route
// or the group's context path changes its beginning.
func (l Route) Link(next exchange.Handler) exchange.Handler {
	return func(w http.ResponseWriter, r *http.Request, ex *exchange.Exchange) {
		target := exchange.RequestURI(r)
		raw, _, _ := strings.Cut(target, "?")
		path, err := openapi.RoutePath(raw)
		if err != nil {
			path = raw
		}
		path = orRoot(path)
		route, byPath := ex.Snap.RouteFor(routing.Destination{Host: hosts.Bare(r.Host), Path: path, Slash: strings.HasSuffix(raw, "/")})
		switch {
		case err != nil && openapi.MayBeOpenAPI(raw) && !route.Observing(ex.Snap):
			ex.Fail(w, http.StatusBadRequest, manyReadings)
			return
		case err != nil && byPath:
			ex.Fail(w, http.StatusBadRequest, manyRoutes)
			return
		case route == nil:
			ex.Fail(w, http.StatusNotFound, "no route for this host and path; add one under routes, or an Ingress where the controller serves")
			return
		}
		ex.Route, ex.Group, ex.Target = route.Name, route.Group, target
		if route.Refuse != "" {
			ex.Fail(w, http.StatusServiceUnavailable, route.Refuse)
			return
		}
		if route.Snap != nil {
			ex.Snap = route.Snap
		}
		ex.Path, ex.Ambiguous = path, err != nil
		if refusal := rewrite(ex, route.Rewriting, raw); refusal != "" {
			ex.Fail(w, http.StatusBadRequest, refusal)
			return
		}
		findCall(ex)
		if ex.Outside {
			l.noteOutside(ex)
		}
		ex.Match = ex.Snap.Rules.For(r.Method, r.Host, ex.Path)
		next(w, r, ex)
	}
}

// orRoot returns path, or "/" where it is empty. cmp.Or would be an allocation.
func orRoot(path string) string {
	if path == "" {
		return "/"
	}
	return path
}

// rewrite makes the target and the path those that the server gets. It returns
// why the request must be refused; "": it need not be.
func rewrite(ex *exchange.Exchange, rw routing.Rewriting, raw string) (refusal string) {
	if rw == (routing.Rewriting{}) {
		return ""
	}
	changed, ok := rw.Path(raw)
	if !ok {
		return encodedStrip
	}
	if changed == raw {
		return ""
	}
	ex.Target = changed + ex.Target[len(raw):]
	path, err := openapi.RoutePath(changed)
	if err != nil {
		if openapi.MayBeOpenAPI(changed) {
			return manyReadings
		}
		path = changed
	}
	ex.Path, ex.Ambiguous = orRoot(path), err != nil
	return ""
}

// findCall finds the call that the server's path names; then the path is written
// as the rules have it, without the context path.
func findCall(ex *exchange.Exchange) {
	if rest, ok := strings.CutPrefix(ex.Path, ex.Group.Settings.Prefix()); ok && strings.HasPrefix(rest, "/") {
		ex.Path = openapi.Prefix[:len(openapi.Prefix)-1] + rest
		ex.Call = openapi.ByPath(ex.Path)
		return
	}
	_, call := outside(ex.Path)
	ex.Outside = call != nil
}

// noteOutside counts a known call outside the prefix, which no rule sees. The first
// one of a group is logged, with what to set.
func (l Route) noteOutside(ex *exchange.Exchange) {
	before, call := outside(ex.Path)
	l.Metrics.Outside.WithLabelValues(call.Name).Inc()
	g := ex.Group
	if g.OutsideSeen.Swap(true) {
		return
	}
	cure := "set upstreams." + g.Name + ".openapi_prefix: " + before + "/openApi if the servers run under the context path " + before +
		", or strip_prefix: " + before + " on the route if they do not"
	switch context := g.Settings.ContextPath; {
	case context != "":
		cure = "set strip_prefix: " + strings.TrimPrefix(before, context) + " on the route; the servers' context path is " + context
	case before == "":
		cure = "set upstreams." + g.Name + ".openapi_prefix: /openApi if the servers run under no context path, or add_prefix: " +
			strings.TrimSuffix(g.Settings.Prefix(), "/openApi") + " on the route if they do"
	}
	l.Log.Warn("a PowerJob call passes outside openapi_prefix: it is not taken for one, and 5.x clients send it twice; "+cure,
		zap.String(exchange.FieldRequestID, ex.ID), zap.String(exchange.FieldUpstream, g.Name), zap.String(exchange.FieldRoute, ex.Route),
		zap.String(exchange.FieldCall, call.Name), zap.String(exchange.FieldPath, ex.Path), zap.String("openapi_prefix", g.Settings.Prefix()))
}

// outside returns the call that a path ends with though it is not under the servers'
// prefix, and what is before the call: "/x" of "/x/openApi/saveJob".
func outside(path string) (before string, call *openapi.Call) {
	i := strings.LastIndex(path, openapi.Prefix)
	if i < 0 {
		return "", nil
	}
	return path[:i], openapi.ByPath(path[i:])
}
