package routing

import (
	"cmp"
	"slices"
	"strings"

	"powerjob-shim/rules/hosts"
)

// routeTable finds a request's route: one look-up for each name that its host
// may be known by, then that name's paths in order. It never changes.
type routeTable struct{ paths hosts.Table[pathList] }

// pathList are the paths of one host, the most specific one first; of equals,
// the first of the settings first.
type pathList []pathRoute

type pathRoute struct {
	path   string // without the star of a prefix
	prefix bool
	slash  bool // exact path whose trailing slash counts
	route  *CompiledRoute
}

// CompiledRoute is a Route with its group.
type CompiledRoute struct {
	Name  string
	Group *Group // nil with refuse
	// Refuse is what callers are told instead; empty: they are served.
	Refuse string
	// Snap is the snapshot under the group's own policy; nil: it has none.
	Snap      *Snapshot
	Rewriting Rewriting
}

// newRewriting compiles what r does to paths before they go to g.
func newRewriting(r Route, g *Group) Rewriting {
	return Rewriting{
		strip: strings.TrimSuffix(r.StripPrefix, "/"), add: strings.TrimSuffix(r.AddPrefix, "/"), context: g.Settings.ContextPath,
	}
}

func newRouteTable(oneLabel bool) *routeTable {
	return &routeTable{hosts.Table[pathList]{OneLabel: oneLabel}}
}

// add adds a route for the hosts and paths of r. sort must follow the last one.
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

// sort orders the paths of each host.
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

// find returns the most specific route: an exact host before a wildcard, a
// longer wildcard before a shorter, any host last; of these the first that has
// a route for the path: an exact path before a prefix, a longer prefix before a
// shorter. nil where no route matches.
func (t *routeTable) find(at Destination) *CompiledRoute {
	var found *CompiledRoute
	t.paths.Each(at.Host, func(l pathList) bool {
		found = l.find(at)
		return found == nil
	})
	return found
}

// byPath reports whether the route of a request to host depends on its path.
func (t *routeTable) byPath(host string) bool {
	depends := false
	t.paths.Each(host, func(l pathList) bool {
		depends = !l[0].prefix || len(l[0].path) > 1
		return false // the first list has what decides: a route for every path, or none
	})
	return depends
}

// Destination is where a request goes.
type Destination struct {
	Host  string // see hosts.Bare
	Path  string // as a server routes it: without a slash at its end
	Slash bool   // there was one
}

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

// RouteFor returns a request's route: a normal route, else a fallback, else nil.
// byPath says that the path matters for the route, so that it must have only one
// reading.
func (s *Snapshot) RouteFor(at Destination) (route *CompiledRoute, byPath bool) {
	if route = s.routes.find(at); route == nil {
		route = s.fallbacks.find(at)
	}
	return route, s.routes.byPath(at.Host)
}

// Observing reports whether requests of this route, which may be nil, are only
// observed; s is the snapshot that it was found in.
func (c *CompiledRoute) Observing(s *Snapshot) bool {
	if c != nil && c.Snap != nil {
		return c.Snap.Observing
	}
	return s.Observing
}
