package routing

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	"powerjob-shim/metrics"
	up "powerjob-shim/proxy/upstream"
	"powerjob-shim/rules"
)

// Snapshot is the compiled configuration. It never changes: do not change its fields. A
// request takes one and keeps it. Successive snapshots share a group as long as its
// settings stay the same.
type Snapshot struct {
	Settings
	Groups map[string]*Group // by name
	routes *routeTable
	// prefixes are the groups' OpenAPI prefixes, each once.
	prefixes []string
	// fallbacks are searched if routes has no match.
	fallbacks *routeTable
	// Lacking knows which servers have no runJob2.
	Lacking *Lacking
}

// Compile checks s and makes a snapshot of it. It takes over the groups of old (nil:
// none) whose settings are the same in s, with their connections. process is a random
// text that is the same for the life of the Proxy. All problems are reported, joined.
func Compile(s Settings, old *Snapshot, process string, o up.Options) (*Snapshot, error) {
	if s.Rules == nil {
		s.Rules = &rules.Set{}
	}
	next := &Snapshot{Lacking: new(Lacking), Settings: s, Groups: make(map[string]*Group, len(s.Upstreams))}
	var errs []error
	if len(s.Upstreams) == 0 {
		errs = append(errs, errors.New("upstreams: at least one is needed"))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Upstreams)) {
		u := s.Upstreams[name]
		var before *Group
		if old != nil {
			before = old.Groups[name]
		}
		u.Policy = nil // compileRoutes uses it; a change of it must not cost the group's connections
		if before != nil && reflect.DeepEqual(before.Settings, u) {
			next.Groups[name] = before
			continue
		}
		g, err := newGroup(name, process, u, before, o)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		next.Groups[name] = g
	}
	for _, g := range next.Groups {
		if prefix := g.Settings.Prefix(); !slices.Contains(next.prefixes, prefix) {
			next.prefixes = append(next.prefixes, prefix)
		}
	}
	errs = append(errs, next.compileRoutes()...)
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return next, nil
}

// compileRoutes fills routes and fallbacks.
func (s *Snapshot) compileRoutes() (errs []error) {
	s.routes, s.fallbacks = newRouteTable(s.OneLabelWildcards), newRouteTable(s.OneLabelWildcards)
	if len(s.Routes) == 0 {
		if len(s.Upstreams) > 1 {
			errs = append(errs, errors.New("routes: several upstreams need routes that choose between them"))
		}
		for name, g := range s.Groups {
			s.routes.add(&Route{}, &CompiledRoute{Name: name, Group: g, Snap: s.under(s.Upstreams[name].Policy), Rewriting: newRewriting(Route{}, g)})
		}
	}
	policies := make(map[string]*Snapshot, len(s.Groups))
	for name := range s.Groups {
		policies[name] = s.under(s.Upstreams[name].Policy)
	}
	for i := range s.Routes {
		r := &s.Routes[i]
		if err := s.compileRoute(r, policies[r.Upstream]); err != nil {
			errs = append(errs, err)
		}
	}
	s.routes.sort()
	s.fallbacks.sort()
	return errs
}

// compileRoute adds a route to its table. policy is the snapshot with the policy of the
// route's upstream, or nil. A route whose upstream could not be made is left out without
// an error: the upstream's own error is reported already.
func (s *Snapshot) compileRoute(r *Route, policy *Snapshot) error {
	c := &CompiledRoute{Name: r.Name, Refuse: r.Refuse}
	if r.Refuse == "" {
		if c.Group = s.Groups[r.Upstream]; c.Group == nil {
			if _, named := s.Upstreams[r.Upstream]; !named {
				return fmt.Errorf("routes.%s: there is no upstream %q", r.Name, r.Upstream)
			}
			return nil
		}
		c.Snap, c.Rewriting = policy, newRewriting(*r, c.Group)
	}
	table := s.routes
	if r.Fallback {
		table = s.fallbacks
	}
	table.add(r, c)
	return nil
}

// under returns a copy of s in which p is in force, or nil if p is nil.
func (s *Snapshot) under(p *Policy) *Snapshot {
	if p == nil {
		return nil
	}
	own := *s
	if p.Rules != nil {
		own.Rules = p.Rules
	}
	own.Access, own.Dedup.Observe, own.Observing = p.Access, p.Observe, p.Observing
	return &own
}

// Start starts the groups that old (nil: none) does not have. Their background work ends
// with life, and running counts its goroutines.
func (s *Snapshot) Start(life context.Context, running *sync.WaitGroup, old *Snapshot) {
	for name, g := range s.Groups {
		g.routedHost.Store(s.firstHost(name))
		if old == nil || old.Groups[name] != g {
			g.Upstream.Start(life, running)
		}
	}
}

// firstHost returns the first exact host of a group's routes, in lower case; nil: none
// has one.
func (s *Snapshot) firstHost(name string) *string {
	for _, r := range s.Routes {
		for _, host := range r.Hosts {
			if r.Upstream == name && !strings.HasPrefix(host, "*") {
				host = strings.ToLower(host)
				return &host
			}
		}
	}
	return nil
}

// Routed reports whether some route leads to a group.
func (s *Snapshot) Routed(name string) bool {
	return len(s.Routes) == 0 || slices.ContainsFunc(s.Routes, func(r Route) bool { return r.Upstream == name })
}

// Retire closes the groups that next has not taken over.
func (s *Snapshot) Retire(next *Snapshot) {
	for name, g := range s.Groups {
		if next.Groups[name] != g {
			g.Upstream.Close()
		}
	}
}

// MayBeCall reports whether a request target is under the OpenAPI prefix of any group.
func (s *Snapshot) MayBeCall(target string) bool {
	return slices.ContainsFunc(s.prefixes, func(prefix string) bool {
		rest, ok := strings.CutPrefix(target, prefix)
		return ok && strings.HasPrefix(rest, "/")
	})
}

// RoutesTo returns the routes to a group, each as "host/path", or "/path" for any host.
func (s *Snapshot) RoutesTo(group string) []string {
	var all []string
	for _, r := range s.Routes {
		if r.Upstream != group {
			continue
		}
		hosts, paths := r.Hosts, r.Paths
		if len(hosts) == 0 {
			hosts = []string{""}
		}
		if len(paths) == 0 {
			paths = []string{"/*"}
		}
		for _, h := range hosts {
			for _, path := range paths {
				all = append(all, h+path)
			}
		}
	}
	return all
}

// PresetSeries creates the metric series of all routes and groups, with the value 0.
func (s *Snapshot) PresetSeries(m *metrics.Metrics) {
	for name := range s.Groups {
		m.PresetUpstream(name)
	}
	for _, r := range s.Routes {
		m.PresetUnanswered(r.Name)
	}
	if len(s.Routes) == 0 { // the only route has the name of the only group
		for name := range s.Groups {
			m.PresetUnanswered(name)
		}
	}
}
