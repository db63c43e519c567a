package proxy

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
	slash  bool // exact, with the slash at its end if it has one
	route  *compiledRoute
}

// compiledRoute is a Route with its group.
type compiledRoute struct {
	name  string
	group *group // nil with refuse
	// refuse is what callers are told instead; empty: they are served.
	refuse string
	// snap is the snapshot under the group's own policy; nil: it has none.
	snap      *snapshot
	rewriting rewriting
}

// newRewriting is what r does to paths before they go to g.
func newRewriting(r Route, g *group) rewriting {
	return rewriting{
		strip: strings.TrimSuffix(r.StripPrefix, "/"), add: strings.TrimSuffix(r.AddPrefix, "/"), context: g.settings.ContextPath,
	}
}

func newRouteTable(oneLabel bool) *routeTable {
	return &routeTable{hosts.Table[pathList]{OneLabel: oneLabel}}
}

// add adds a route for the hosts and paths of r. sort must follow the last one.
func (t *routeTable) add(r *Route, c *compiledRoute) {
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
func (t *routeTable) find(at destination) *compiledRoute {
	var found *compiledRoute
	t.paths.Each(at.host, func(l pathList) bool {
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

// destination is where a request goes.
type destination struct {
	host  string // see hosts.Bare
	path  string // as a server routes it: without a slash at its end
	slash bool   // there was one
}

func (l pathList) find(at destination) *compiledRoute {
	for i := range l {
		p := &l[i]
		switch {
		case p.prefix:
			if strings.HasPrefix(at.path, p.path) {
				return p.route
			}
		case !p.slash:
			if p.path == at.path {
				return p.route
			}
		default:
			if path, slash := strings.CutSuffix(p.path, "/"); slash == at.slash && cmp.Or(path, "/") == at.path {
				return p.route
			}
		}
	}
	return nil
}

// routeFor returns a request's route: a fallback where no other one is for it,
// and nil without either. byPath reports that its path had to decide, so that
// there must be only one way to read it.
func (s *snapshot) routeFor(at destination) (route *compiledRoute, byPath bool) {
	if route = s.routes.find(at); route == nil {
		route = s.fallbacks.find(at)
	}
	return route, s.routes.byPath(at.host)
}

// observing reports whether requests of this route, which may be nil, are only
// observed; s is the snapshot that it was found in.
func (c *compiledRoute) observing(s *snapshot) bool {
	if c != nil && c.snap != nil {
		return c.snap.Observing
	}
	return s.Observing
}
