package proxy

import (
	"cmp"
	"slices"
	"strings"
)

// routeTable finds a request's route: one look-up for each name that its host
// may be known by, then that name's paths in order. It never changes.
type routeTable struct {
	exact    map[string]pathList // by host, in lower case
	wildcard map[string]pathList // by what follows the star: ".example.com"
	any      pathList            // for every host
	oneLabel bool                // a wildcard covers one label only
}

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
	snap *snapshot
	rewriting
}

// newRewriting is what r does to paths before they go to g.
func newRewriting(r Route, g *group) rewriting {
	return rewriting{
		strip: strings.TrimSuffix(r.StripPrefix, "/"), add: strings.TrimSuffix(r.AddPrefix, "/"), context: g.settings.ContextPath,
	}
}

func newRouteTable(oneLabel bool) *routeTable {
	return &routeTable{exact: map[string]pathList{}, wildcard: map[string]pathList{}, oneLabel: oneLabel}
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
	if len(r.Hosts) == 0 {
		t.any = append(t.any, list...)
	}
	for _, h := range r.Hosts {
		h = strings.ToLower(h)
		if domain, ok := strings.CutPrefix(h, "*"); ok {
			t.wildcard[domain] = append(t.wildcard[domain], list...)
		} else {
			t.exact[h] = append(t.exact[h], list...)
		}
	}
}

// sort orders the paths of each host.
func (t *routeTable) sort() {
	order := func(l pathList) {
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
	}
	for _, l := range t.exact {
		order(l)
	}
	for _, l := range t.wildcard {
		order(l)
	}
	order(t.any)
}

// find returns the most specific route: an exact host before a wildcard, a
// longer wildcard before a shorter, any host last; of these the first that has
// a route for the path: an exact path before a prefix, a longer prefix before a
// shorter. nil where no route matches.
func (t *routeTable) find(at destination) *compiledRoute {
	var found *compiledRoute
	t.each(at.host, func(l pathList) bool {
		found = l.find(at)
		return found == nil
	})
	return found
}

// byPath reports whether the route of a request to host depends on its path.
func (t *routeTable) byPath(host string) bool {
	depends := false
	t.each(host, func(l pathList) bool {
		depends = !l[0].prefix || len(l[0].path) > 1
		return false // the first list has what decides: a route for every path, or none
	})
	return depends
}

// each calls visit with the paths of each host that is host or covers it, the
// most specific one first, until it returns false.
func (t *routeTable) each(host string, visit func(pathList) bool) {
	if l := t.exact[host]; len(l) > 0 && !visit(l) {
		return
	}
	for i := 1; i < len(host) && len(t.wildcard) > 0; i++ {
		if host[i] != '.' {
			continue
		}
		if l := t.wildcard[host[i:]]; len(l) > 0 && !visit(l) {
			return
		}
		if t.oneLabel {
			break
		}
	}
	if len(t.any) > 0 {
		visit(t.any)
	}
}

// destination is where a request goes.
type destination struct {
	host  string // see address.BareHost
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
