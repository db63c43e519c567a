package plan

import (
	"cmp"
	"fmt"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"

	"powerjob-shim/proxy"
)

// claim is a host and path that only one Ingress can have.
type claim struct {
	host  string
	exact bool
	path  string
}

// rules makes the routes of an Ingress's rules.
func (m *maker) rules(e *entry) {
	for _, rule := range e.ing.Spec.Rules {
		if rule.HTTP == nil {
			continue // the default backend serves the whole host
		}
		for i := range rule.HTTP.Paths {
			m.path(e, strings.ToLower(rule.Host), &rule.HTTP.Paths[i])
		}
	}
}

// path makes the route of one path.
func (m *maker) path(e *entry, host string, p *networkingv1.HTTPIngressPath) {
	exact := p.PathType != nil && *p.PathType == networkingv1.PathTypeExact
	path, wrong := readPath(p.Path, exact)
	c := claim{host, exact, path}
	if owner, taken := m.claims[c]; taken {
		m.problem(e.newest, HostConflict, fmt.Sprintf("%s%s is served for the older Ingress %s; write another host or path, or delete one of the two", hostName(host), p.Path, owner))
		return
	}
	m.claims[c] = key(e.ing)
	route := proxy.Route{Name: key(e.ing), StripPrefix: e.annotations[StripPrefix], ExactSlash: exact, Paths: []string{path}, Refuse: e.refuse}
	if host != "" {
		route.Hosts = []string{host}
	}
	if !exact {
		route.Paths = prefixPaths(path)
	}
	if wrong != "" {
		m.problem(e.newest, InvalidPath, wrong)
		route.Refuse = "Ingress " + key(e.ing) + ": " + wrong
	}
	m.serve(e, &route, host, &p.Backend)
	m.Settings.Routes = append(m.Settings.Routes, route)
}

// serve sets a route's upstream to its backend's group, or makes the route refuse
// requests with the reason.
func (m *maker) serve(e *entry, route *proxy.Route, host string, b *networkingv1.IngressBackend) {
	if route.Refuse == "" {
		refused := m.refused[key(e.ing)]
		_, domain, _ := strings.Cut(host, ".")
		route.Refuse = cmp.Or(refused[host], refused["*."+domain])
	}
	if route.Refuse != "" {
		return
	}
	g, reason, wrong := m.backend(e, b)
	if wrong != "" {
		m.problem(e.newest, reason, wrong)
		route.Refuse = "Ingress " + key(e.ing) + ": " + wrong
		return
	}
	m.annotate(e, g)
	route.Upstream = g.name
}

// defaultBackend makes routes to the default backend for what no rule matches: for
// the hosts of the Ingress's own rules and, unless an older Ingress has done so, for
// every host.
func (m *maker) defaultBackend(e *entry) {
	seen := map[string]bool{}
	hosts := []string{}
	for _, rule := range e.ing.Spec.Rules {
		if h := strings.ToLower(rule.Host); h != "" && !seen[h] {
			seen[h] = true
			hosts = append(hosts, h)
		}
	}
	for _, host := range append(hosts, "") {
		c := claim{host: host, path: "default backend"}
		if owner, taken := m.claims[c]; taken {
			if host == "" && len(hosts) > 0 {
				continue // it still serves its own hosts
			}
			m.problem(e.newest, HostConflict, fmt.Sprintf("%s has the default backend of the older Ingress %s; remove one of the two", hostName(host), owner))
			continue
		}
		m.claims[c] = key(e.ing)
		route := proxy.Route{Name: key(e.ing), Fallback: true, StripPrefix: e.annotations[StripPrefix], Refuse: e.refuse}
		if host != "" {
			route.Hosts = []string{host}
		}
		m.serve(e, &route, host, e.ing.Spec.DefaultBackend)
		m.Settings.Routes = append(m.Settings.Routes, route)
	}
}

func hostName(host string) string {
	if host == "" {
		return "every host"
	}
	return host
}

// readPath returns an Ingress's path in the form that routes compare: a prefix has
// no slash at its end. If the path is not valid, it returns its leading segments
// that are, and what is wrong.
func readPath(path string, exact bool) (clean, wrong string) {
	if path == "" {
		path = "/"
	}
	clean = path
	if !strings.HasPrefix(path, "/") || !literal(path) {
		wrong = fmt.Sprintf("path %q is no path but a pattern, or has empty or dot segments; write whole segments such as /powerjob, and %sstrip-prefix where it is to be cut off", path, Prefix)
		if i := strings.IndexAny(path, patternBytes); i >= 0 {
			clean = path[:i]
			clean = clean[:strings.LastIndexByte(clean, '/')+1]
			exact = false
		}
		if !strings.HasPrefix(clean, "/") {
			clean = "/" + clean
		}
	}
	if !exact {
		clean = strings.TrimSuffix(clean, "/")
	}
	return clean, wrong
}

const patternBytes = `(){}[]*^$|\+?#% ;`

// literal reports whether a path has no patterns and nothing that can be read
// in two ways.
func literal(path string) bool {
	if strings.ContainsAny(path, patternBytes) {
		return false
	}
	for seg := range strings.SplitSeq(strings.TrimSuffix(strings.TrimPrefix(path, "/"), "/"), "/") {
		if seg == "." || seg == ".." || seg == "" && path != "/" {
			return false
		}
	}
	return true
}

// prefixPaths returns the routes' paths for a prefix of whole segments.
func prefixPaths(path string) []string {
	if path == "" {
		return []string{"/*"}
	}
	return []string{path, path + "/*"}
}
