package routing

import (
	"cmp"
	"slices"
	"strings"

	"powerjob-shim/rules/hosts"
)

// routeTable finds a request's route: it looks up each pattern that may match the host,
// then tries the paths of that pattern in order. It does not change after sort.
type routeTable struct{ paths hosts.Table[pathList] }

// pathList holds the paths of one host pattern, the most specific one first. Equally
// specific ones are in the order of the settings.
type pathList []pathRoute

type pathRoute struct {
	path   string // without the star of a prefix
	prefix bool   // matches every path that begins with path; false: only path itself
	slash  bool   // exact path whose trailing slash counts
	route  *CompiledRoute
}

// CompiledRoute is a Route with its group. It must not be changed.
type CompiledRoute struct {
	Name  string
	Group *Group // nil if Refuse is set
	// Refuse is the text that all requests are refused with; empty: they are served.
	Refuse string
	// Snap is the snapshot with the group's own policy in force; nil: it has none.
	Snap      *Snapshot
	Rewriting Rewriting
}

// newRewriting returns what r and g do to the paths of requests.
func newRewriting(r Route, g *Group) Rewriting {
	return Rewriting{
		strip: strings.TrimSuffix(r.StripPrefix, "/"), add: strings.TrimSuffix(r.AddPrefix, "/"), context: g.Settings.ContextPath,
	}
}

func newRouteTable(oneLabel bool) *routeTable {
	return &routeTable{hosts.Table[pathList]{OneLabel: oneLabel}}
}

// add adds c for the hosts and paths of r. After the last add, call sort.
func (t *routeTable) add(r *Route, c *CompiledRoute) {
	paths := r.Paths
	if len(paths) == 0 {
		paths = []string{"*"}
	}
	var list pathList
	for _, p := range paths {
		path, prefix := strings.CutSuffix(p, "*")
		list = append(list, pathRoute{path: path, prefix: prefix, slash: r.ExactSlash && !prefix, route: c})
	}
	patterns := r.Hosts
	if len(patterns) == 0 {
		patterns = []string{""}
	}
	for _, h := range patterns {
		t.paths.Set(h, append(t.paths.Get(h), list...))
	}
}

// sort orders the paths of each host as pathList says.
func (t *routeTable) sort() {
	t.paths.All(func(l pathList) {
		slices.SortStableFunc(l, func(a, b pathRoute) int {
			if a.prefix != b.prefix {
				if b.prefix {
					return -1
				}
				return 1
			}
			if !a.prefix {
				return 0
			}
			return cmp.Compare(len(b.path), len(a.path))
		})
	})
}

// find returns the most specific route, or nil if none matches. It goes through the
// matching hosts: an exact host comes before a wildcard, a longer wildcard before a
// shorter one, and the pattern for any host last. The first host with a route for the
// path decides; there, an exact path comes before a prefix, and a longer prefix before a
// shorter one.
func (t *routeTable) find(at Destination) *CompiledRoute {
	var found *CompiledRoute
	t.paths.Each(at.Host, func(l pathList) bool {
		found = l.find(at)
		return found == nil
	})
	return found
}

// byPath reports whether the route of a request to host depends on the request's path.
func (t *routeTable) byPath(host string) bool {
	depends := false
	t.paths.Each(host, func(l pathList) bool {
		depends = !l[0].prefix || len(l[0].path) > 1
		return false // the first list decides: either its first route takes every path, or the path matters
	})
	return depends
}

// Destination is where a request goes.
type Destination struct {
	Host  string // see hosts.Bare
	Path  string // as a server routes it: without a trailing slash
	Slash bool   // the request's path had a trailing slash
}

// find returns the route of the first path that matches, or nil.
func (l pathList) find(at Destination) *CompiledRoute {
	for i := range l {
		p := &l[i]
		switch {
		case p.prefix:
			if strings.HasPrefix(at.Path, p.path) {
				return p.route
			}
		case !p.slash:
			if p.path == at.Path {
				return p.route
			}
		default:
			if path, slash := strings.CutSuffix(p.path, "/"); slash == at.Slash && cmp.Or(path, "/") == at.Path {
				return p.route
			}
		}
	}
	return nil
}

// RouteFor returns a request's route: a normal route, else a fallback, else nil. byPath
// is true if the route depends on the path: then the path must have only one reading.
func (s *Snapshot) RouteFor(at Destination) (route *CompiledRoute, byPath bool) {
	if route = s.routes.find(at); route == nil {
		route = s.fallbacks.find(at)
	}
	return route, s.routes.byPath(at.Host)
}

// Observing reports whether requests of this route are only observed. s is the snapshot
// in which RouteFor found c; c may be nil.
func (c *CompiledRoute) Observing(s *Snapshot) bool {
	if c != nil && c.Snap != nil {
		return c.Snap.Observing
	}
	return s.Observing
}
