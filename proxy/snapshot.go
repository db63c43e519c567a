package proxy

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

// snapshot is the compiled configuration. It never changes; a request takes it
// once. Groups are shared between snapshots while their settings are equal.
type snapshot struct {
	Settings
	groups map[string]*group
	routes *routeTable
	// prefixes are the groups' OpenAPI prefixes, each once.
	prefixes []string
	// fallbacks are the routes for what routes has none for.
	fallbacks *routeTable
	// lacking is which servers have no runJob2.
	lacking *lacking
}

// compile checks s and prepares it. Groups of old (nil: none) that s has
// unchanged are taken over with their connections. process is random, and the same
// for the life of the Proxy.
func compile(s Settings, old *snapshot, process string, o up.Options) (*snapshot, error) {
	if s.Rules == nil {
		s.Rules = &rules.Set{}
	}
	next := &snapshot{lacking: new(lacking), Settings: s, groups: make(map[string]*group, len(s.Upstreams))}
	var errs []error
	if len(s.Upstreams) == 0 {
		errs = append(errs, errors.New("upstreams: at least one is needed"))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Upstreams)) {
		u := s.Upstreams[name]
		var before *group
		if old != nil {
			before = old.groups[name]
		}
		u.Policy = nil // which is the routes' matter: it leaves connections alone
		if before != nil && reflect.DeepEqual(before.settings, u) {
			next.groups[name] = before
			continue
		}
		g, err := newGroup(name, process, u, before, o)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		next.groups[name] = g
	}
	for _, g := range next.groups {
		if prefix := g.settings.Prefix(); !slices.Contains(next.prefixes, prefix) {
			next.prefixes = append(next.prefixes, prefix)
		}
	}
	errs = append(errs, next.compileRoutes()...)
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return next, nil
}

// compileRoutes makes the tables of routes.
func (s *snapshot) compileRoutes() (errs []error) {
	s.routes, s.fallbacks = newRouteTable(s.OneLabelWildcards), newRouteTable(s.OneLabelWildcards)
	if len(s.Routes) == 0 {
		if len(s.Upstreams) > 1 {
			errs = append(errs, errors.New("routes: several upstreams need routes that choose between them"))
		}
		for name, g := range s.groups {
			s.routes.add(&Route{}, &compiledRoute{name: name, group: g, snap: s.under(s.Upstreams[name].Policy), rewriting: newRewriting(Route{}, g)})
		}
	}
	policies := make(map[string]*snapshot, len(s.groups))
	for name := range s.groups {
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

// compileRoute adds a route to its table. One whose upstream could not be made is
// left out: the upstream has told its own error.
func (s *snapshot) compileRoute(r *Route, policy *snapshot) error {
	c := &compiledRoute{name: r.Name, refuse: r.Refuse}
	if r.Refuse == "" {
		if c.group = s.groups[r.Upstream]; c.group == nil {
			if _, named := s.Upstreams[r.Upstream]; !named {
				return fmt.Errorf("routes.%s: there is no upstream %q", r.Name, r.Upstream)
			}
			return nil
		}
		c.snap, c.rewriting = policy, newRewriting(*r, c.group)
	}
	table := s.routes
	if r.Fallback {
		table = s.fallbacks
	}
	table.add(r, c)
	return nil
}

// under returns s with the settings that p replaces; nil: p replaces none.
func (s *snapshot) under(p *Policy) *snapshot {
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

// start starts the groups that old (nil: none) does not have. What they do on
// their own ends with life; running counts it.
func (s *snapshot) start(life context.Context, running *sync.WaitGroup, old *snapshot) {
	for name, g := range s.groups {
		g.routedHost.Store(s.firstHost(name))
		if old == nil || old.groups[name] != g {
			g.upstream.Start(life, running)
		}
	}
}

// firstHost returns the first exact host of a group's routes, nil where no route has one.
func (s *snapshot) firstHost(name string) *string {
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

// routed reports whether requests can get to a group.
func (s *snapshot) routed(name string) bool {
	return len(s.Routes) == 0 || slices.ContainsFunc(s.Routes, func(r Route) bool { return r.Upstream == name })
}

// retire closes the groups that next does not have.
func (s *snapshot) retire(next *snapshot) {
	for name, g := range s.groups {
		if next.groups[name] != g {
			g.upstream.Close()
		}
	}
}

// mayBeCall reports whether a request target is under some group's OpenAPI prefix.
func (s *snapshot) mayBeCall(target string) bool {
	return slices.ContainsFunc(s.prefixes, func(prefix string) bool {
		rest, ok := strings.CutPrefix(target, prefix)
		return ok && strings.HasPrefix(rest, "/")
	})
}

// routesTo returns the routes to a group, as "host/path" or "/path".
func (s *snapshot) routesTo(group string) []string {
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

// presetSeries makes the series of routes and groups, at 0.
func (s *snapshot) presetSeries(m *metrics.Metrics) {
	for name := range s.groups {
		m.PresetUpstream(name)
	}
	for _, r := range s.Routes {
		m.PresetUnanswered(r.Name)
	}
	if len(s.Routes) == 0 { // the only group's name is the route's
		for name := range s.groups {
			m.PresetUnanswered(name)
		}
	}
}
