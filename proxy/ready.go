package proxy

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"powerjob-shim/internal/doctor"
	"powerjob-shim/metrics"
	up "powerjob-shim/proxy/upstream"
)

const (
	// probeAge is how long what was found is told again. Kubelet and people ask
	// more rarely than this.
	probeAge = 2 * time.Second
	// probeTimeout is for connecting to all servers. Kubelet waits 1 s by default.
	probeTimeout = 900 * time.Millisecond
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
	Reachable bool   `json:"reachable"` // it takes connections, tried just now, and answered as it should when it was asked
	Problem   string `json:"problem,omitempty"`
	Advice    string `json:"advice,omitempty"` // what to write instead
	InFlight  int64  `json:"in_flight"`

	Lacks []string `json:"lacks,omitempty"` // calls of newer clients that it has not, as far as they were tried

	// Doctor is what the doctor command would say; nil: not known yet.
	Doctor *doctor.Finding `json:"doctor,omitempty"`
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
		servers := make([]serverState, len(g.upstream.Servers))
		for i, s := range g.upstream.Servers {
			wg.Go(func() { servers[i] = g.probe(ctx, s) })
		}
		states = append(states, groupState{Name: name, Servers: servers})
	}
	wg.Wait()
	r.at, r.of, r.states = time.Now(), snap, states
	return states
}

func (g *group) probe(ctx context.Context, s *up.Server) serverState {
	state := serverState{Server: s.Name, State: s.Standing(time.Now()).String(), InFlight: s.InFlight()}
	found := g.upstream.Look(ctx, s)
	state.Reachable, state.Problem, state.Advice = found.Reachable, found.Problem, found.Advice
	return state
}

// ready reports whether the server should get requests.
func (s serverState) ready() bool { return s.Reachable && s.State != up.StandingDown.String() }

// ready reports whether one server of the group is.
func (g groupState) ready() bool { return slices.ContainsFunc(g.Servers, serverState.ready) }

// lines are what is to be said of the group's servers; none while all is well.
func (g groupState) lines() []string {
	var lines []string
	for _, s := range g.Servers {
		if s.Problem == "" && s.ready() {
			continue
		}
		said := fmt.Sprintf("upstream %s: %s: %s", g.Name, s.Server, s.Problem)
		if s.ready() {
			said = fmt.Sprintf("upstream %s: %s: warning: %s", g.Name, s.Server, s.Problem)
		}
		if s.Advice != "" {
			said += "; " + s.Advice
		}
		lines = append(lines, said)
	}
	return lines
}

// withLacks returns states with what is known by now of snap's servers.
func withLacks(states []groupState, snap *snapshot) []groupState {
	now := time.Now()
	told := make([]groupState, len(states))
	for i, g := range states {
		told[i] = g
		told[i].Servers = slices.Clone(g.Servers)
		for j, s := range told[i].Servers {
			if known := snap.groups[g.Name].upstream.Server(s.Server); known != nil && snap.lacking.has(known, now) {
				told[i].Servers[j].Lacks = []string{newCall}
			}
		}
	}
	return told
}

// readiness reports whether requests should be sent here, and why, in lines.
func (p *Proxy) readiness(ctx context.Context) (ready bool, lines []string) {
	if p.draining.Load() {
		return false, []string{errDraining}
	}
	if p.ready != nil {
		if err := p.ready(); err != nil {
			return false, []string{err.Error()}
		}
		return true, append([]string{"ok"}, p.dedupNotes()...)
	}
	snap := p.snap.Load()
	var not []string
	for _, g := range p.reach.probe(ctx, snap) {
		lines = append(lines, g.lines()...)
		switch {
		case !snap.routed(g.Name): // no request needs it
		case g.ready():
			ready = true
		default:
			not = append(not, g.Name)
		}
	}
	head := "ok"
	switch {
	case !ready:
		head = "no upstream server is ready"
	case snap.ReadyAll && len(not) > 0:
		ready, head = false, "no server is ready of upstream "+strings.Join(not, ", ")+" (admin.ready is all)"
	}
	return ready, append(append([]string{head}, lines...), p.dedupNotes()...)
}

const errDraining = "draining: the shim is stopping"

// groupReadiness is readiness for the requests of one group; known: there is one
// of this name.
func (p *Proxy) groupReadiness(ctx context.Context, name string) (ready, known bool, lines []string) {
	snap := p.snap.Load()
	if snap.groups[name] == nil {
		return false, false, []string{fmt.Sprintf("there is no upstream %.64q; there is %s", name, strings.Join(slices.Sorted(maps.Keys(snap.groups)), ", "))}
	}
	if p.draining.Load() {
		return false, true, []string{errDraining}
	}
	for _, g := range p.reach.probe(ctx, snap) {
		if g.Name == name {
			ready, lines = g.ready(), g.lines()
		}
	}
	if ready {
		return true, true, append([]string{"ok"}, lines...)
	}
	return false, true, append([]string{"no server is ready of upstream " + name}, lines...)
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
		for _, s := range g.upstream.Servers {
			all = append(all, metrics.UpstreamStats{
				Upstream: g.name, Server: s.Name, Up: s.Standing(now) == up.StandingUp, InFlight: s.InFlight(),
			})
		}
	}
	return all
}
