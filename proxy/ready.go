package proxy

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"powerjob-shim/metrics"
	up "powerjob-shim/proxy/upstream"
)

const (
	// probeAge is how long what a probe found is told again. Kubelet and
	// people ask more rarely than this.
	probeAge     = 2 * time.Second
	probeTimeout = up.ConnectTimeout + time.Second/2 // connecting ends by itself, and says why
)

// reachability knows which servers take connections. It connects when it is
// asked and what it knows is old, so there is nothing to start or stop, and it
// recovers by itself. Safe for concurrent use.
type reachability struct {
	mu     sync.Mutex // held while probing: others wait for the same result
	at     time.Time
	of     *snapshot
	states []groupState
}

type groupState struct {
	Name    string        `json:"name"`
	Servers []serverState `json:"servers"`
}

type serverState struct {
	Server    string `json:"server"`
	State     string `json:"state"`     // up, refusing, ejected or down: whether it gets requests
	Reachable bool   `json:"reachable"` // it takes connections, tried just now
	Problem   string `json:"problem,omitempty"`
	InFlight  int64  `json:"in_flight"`
}

// probe returns the state of every server of snap, sorted by group. The
// result is shared: read it only.
func (r *reachability) probe(ctx context.Context, snap *snapshot) []groupState {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of == snap && time.Since(r.at) < probeAge {
		return r.states
	}
	// What is found serves all who wait here: it must not depend on the first
	// of them staying.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTimeout)
	defer cancel()
	var wg sync.WaitGroup
	states := make([]groupState, 0, len(snap.groups))
	for _, name := range slices.Sorted(maps.Keys(snap.groups)) {
		g := snap.groups[name]
		servers := make([]serverState, len(g.servers))
		for i, s := range g.servers {
			wg.Go(func() { servers[i] = g.probe(ctx, s) })
		}
		states = append(states, groupState{Name: name, Servers: servers})
	}
	wg.Wait()
	r.at, r.of, r.states = time.Now(), snap, states
	return states
}

func (g *upstreamGroup) probe(ctx context.Context, s *server) serverState {
	state := serverState{Server: s.name, State: s.standing(time.Now()).String(), InFlight: s.inFlight.Load()}
	if why := s.lastCheck.Load(); why != nil {
		state.Problem = "health check: " + *why
	}
	c, err := g.dial(ctx, s.name)
	if err != nil {
		state.Problem = dialProblem(err)
		return state
	}
	_ = c.Close() // nothing was written
	state.Reachable = true
	return state
}

// readiness reports whether requests should be sent here, and why, in lines.
func (p *Proxy) readiness(ctx context.Context) (ready bool, lines []string) {
	if p.draining.Load() {
		return false, []string{"draining: the shim is stopping"}
	}
	if p.readyAlone {
		return true, append([]string{"ok"}, p.dedupNotes()...)
	}
	for _, g := range p.reach.probe(ctx, p.snap.Load()) {
		for _, s := range g.Servers {
			if s.Reachable && s.State != standingDown.String() {
				ready = true
				continue
			}
			lines = append(lines, fmt.Sprintf("upstream %s: %s: %s", g.Name, s.Server, s.Problem))
		}
	}
	if ready {
		lines = append([]string{"ok"}, lines...)
	} else {
		lines = append([]string{"no upstream server is reachable"}, lines...)
	}
	return ready, append(lines, p.dedupNotes()...)
}

// upstreamStats is what the metrics tell of the servers.
func (p *Proxy) upstreamStats() []metrics.UpstreamStats {
	snap := p.snap.Load()
	if snap == nil { // New is not done yet
		return nil
	}
	now := time.Now()
	var all []metrics.UpstreamStats
	for _, g := range snap.groups {
		for _, s := range g.servers {
			all = append(all, metrics.UpstreamStats{
				Upstream: g.name, Server: s.name, Up: s.standing(now) == standingUp, InFlight: s.inFlight.Load(),
			})
		}
	}
	return all
}
