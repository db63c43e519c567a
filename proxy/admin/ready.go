package admin

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// lookAge is how long a finding is reused. Kubelet and people ask more rarely
	// than this.
	lookAge = 2 * time.Second
	// lookTimeout is for connecting to all servers. Kubelet waits 1 s by default.
	lookTimeout = 900 * time.Millisecond
)

// reachability knows which servers take connections. It has the view connect when it
// is asked and what it knows is old, so there is nothing to start or stop, and it
// recovers by itself. The zero value knows nothing; safe for concurrent use.
type reachability struct {
	mu     sync.Mutex // held while looking: others wait for the same result
	at     time.Time
	of     View
	groups []Group
}

// look returns the groups of v with the state of their servers. The result is shared:
// read it only.
func (r *reachability) look(ctx context.Context, v View) []Group {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of == v && time.Since(r.at) < lookAge {
		return r.groups
	}
	// What is found serves all who wait here: it must not depend on the first
	// of them staying.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTimeout)
	defer cancel()
	groups := v.Look(ctx)
	r.at, r.of, r.groups = time.Now(), v, groups
	return groups
}

// ready reports whether at least one server of the group is ready.
func (g Group) ready() bool {
	return slices.ContainsFunc(g.Servers, func(s Server) bool { return s.Ready })
}

// lines are what is to be said of the group's servers; none while all is well.
func (g Group) lines() []string {
	var lines []string
	for _, s := range g.Servers {
		if s.Problem == "" && s.Ready {
			continue
		}
		said := fmt.Sprintf("upstream %s: %s: %s", g.Name, s.Server, s.Problem)
		if s.Ready {
			said = fmt.Sprintf("upstream %s: %s: warning: %s", g.Name, s.Server, s.Problem)
		}
		if s.Advice != "" {
			said += "; " + s.Advice
		}
		lines = append(lines, said)
	}
	return lines
}

const errDraining = "draining: the shim is stopping"

// readiness returns 200 or 503, whether requests should be sent here, and why, in lines.
func (r *reachability) readiness(ctx context.Context, v View) (code int, lines []string) {
	about := v.About()
	if about.Draining {
		return http.StatusServiceUnavailable, []string{errDraining}
	}
	if about.Ready != nil {
		if err := about.Ready(); err != nil {
			return http.StatusServiceUnavailable, []string{err.Error()}
		}
		return http.StatusOK, append([]string{"ok"}, about.Dedup.Problems...)
	}
	var not []string
	ready := false
	for _, g := range r.look(ctx, v) {
		lines = append(lines, g.lines()...)
		switch {
		case !g.Routed: // no request needs it
		case g.ready():
			ready = true
		default:
			not = append(not, g.Name)
		}
	}
	code, head := http.StatusOK, "ok"
	switch {
	case !ready:
		code, head = http.StatusServiceUnavailable, "no upstream server is ready"
	case about.ReadyAll && len(not) > 0:
		code, head = http.StatusServiceUnavailable, "no server is ready of upstream "+strings.Join(not, ", ")+" (admin.ready is all)"
	}
	return code, append(append([]string{head}, lines...), about.Dedup.Problems...)
}

// groupReadiness is readiness for the requests of one group; 404: there is none of
// this name.
func (r *reachability) groupReadiness(ctx context.Context, v View, name string) (code int, lines []string) {
	about := v.About()
	if !slices.Contains(about.GroupNames, name) {
		return http.StatusNotFound, []string{fmt.Sprintf("there is no upstream %.64q; there is %s", name, strings.Join(about.GroupNames, ", "))}
	}
	if about.Draining {
		return http.StatusServiceUnavailable, []string{errDraining}
	}
	for _, g := range r.look(ctx, v) {
		if g.Name != name {
			continue
		}
		if g.ready() {
			return http.StatusOK, append([]string{"ok"}, g.lines()...)
		}
		lines = g.lines()
	}
	return http.StatusServiceUnavailable, append([]string{"no server is ready of upstream " + name}, lines...)
}
