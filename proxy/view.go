package proxy

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"powerjob-shim/metrics"
	"powerjob-shim/proxy/admin"
	"powerjob-shim/proxy/routing"
	up "powerjob-shim/proxy/upstream"
)

// Admin returns the handler of the admin listener: see [admin.Handler]. It ignores View
// and Recent of o, and uses the Proxy's own.
func (p *Proxy) Admin(o admin.Options) http.Handler {
	o.View, o.Recent = func() admin.View { return view{p, p.snap.Load()} }, p.recent
	return admin.Handler(o)
}

// view is the Proxy as the admin listener sees it.
type view struct {
	p    *Proxy
	snap *routing.Snapshot
}

// About implements admin.View.
func (v view) About() admin.About {
	return admin.About{
		Version: v.p.version, Started: v.p.started, Draining: v.p.draining.Load(), Observing: v.snap.Observing, InFlight: v.p.active.Load(),
		Hash: v.snap.Hash, Configuration: v.snap.Configuration,
		GroupNames: slices.Sorted(maps.Keys(v.snap.Groups)), ReadyAll: v.snap.ReadyAll, Ready: v.p.ready,
		Dedup: v.p.dedupStatus(),
	}
}

// dedupStatus returns what /status shows under "dedup".
func (p *Proxy) dedupStatus() admin.Dedup {
	stats, status := p.store.Stats(), p.store.Status()
	return admin.Dedup{
		Store: status.Kind, Problems: status.Problems, Entries: stats.Entries, Bytes: stats.Bytes, InFlight: stats.InFlight,
		Evicted: stats.Evicted, Decisions: p.replay.Decisions(),
	}
}

// Look implements admin.View.
func (v view) Look(ctx context.Context) []admin.Group {
	var wg sync.WaitGroup
	groups := make([]admin.Group, 0, len(v.snap.Groups))
	for _, name := range slices.Sorted(maps.Keys(v.snap.Groups)) {
		g := v.snap.Groups[name].Upstream
		servers := make([]admin.Server, len(g.Servers))
		for i, s := range g.Servers {
			wg.Go(func() { servers[i] = look(ctx, g, s) })
		}
		groups = append(groups, admin.Group{Name: name, Servers: servers, Routed: v.snap.Routed(name), Routes: v.snap.RoutesTo(name)})
	}
	wg.Wait()
	return groups
}

// look returns the state of s, after trying to connect to it.
func look(ctx context.Context, g *up.Group, s *up.Server) admin.Server {
	standing, inFlight := s.Standing(time.Now()), s.InFlight()
	found := g.Look(ctx, s)
	return admin.Server{
		Server: s.Name, State: standing.String(), InFlight: inFlight,
		Reachable: found.Reachable, Problem: found.Problem, Advice: found.Advice,
		Healthy: standing == up.StandingUp, Ready: found.Reachable && standing != up.StandingDown,
	}
}

// Complete implements admin.View.
func (v view) Complete(ctx context.Context, found []admin.Group) ([]admin.Group, *admin.Need) {
	now := time.Now()
	groups := slices.Clone(found)
	for i, g := range groups {
		groups[i].Servers = slices.Clone(g.Servers)
		for j, s := range g.Servers {
			if known := v.snap.Groups[g.Name].Upstream.Server(s.Server); known != nil && v.snap.Lacking.Has(known, now) {
				groups[i].Servers[j].Lacks = []string{routing.RunJob2}
			}
		}
	}
	return groups, v.p.addFindings(ctx, groups, v.snap)
}

// upstreamStats returns the state of all servers, for the metrics.
func (p *Proxy) upstreamStats() []metrics.UpstreamStats {
	snap := p.snap.Load()
	if snap == nil { // New is not done yet
		return nil
	}
	now := time.Now()
	var all []metrics.UpstreamStats
	for _, g := range snap.Groups {
		for _, s := range g.Upstream.Servers {
			all = append(all, metrics.UpstreamStats{
				Upstream: g.Name, Server: s.Name, Up: s.Standing(now) == up.StandingUp, InFlight: s.InFlight(),
			})
		}
	}
	return all
}
