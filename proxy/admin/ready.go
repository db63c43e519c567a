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
	// lookAge is how long a finding is reused. Kubelet and people ask less often.
	lookAge = 2 * time.Second
	// lookTimeout is the limit for connecting to all servers. By default, kubelet waits
	// 1 s for an answer.
	lookTimeout = 900 * time.Millisecond
)

// reachability knows which servers accept connections. When it is asked and its finding
// is old, it has the view connect to them. So nothing needs to be started or stopped,
// and it recovers by itself. The zero value knows nothing; safe for concurrent use.
type reachability struct {
	mu     sync.Mutex // held while looking, so that others wait for the same result
	at     time.Time  // guarded by mu; when groups was found
	of     View       // guarded by mu; whose groups they are
	groups []Group    // guarded by mu
}

// look returns the groups of v with the state of their servers, at most lookAge old. The
// result is shared: do not change it.
func (r *reachability) look(ctx context.Context, v View) []Group {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of == v && time.Since(r.at) < lookAge {
		return r.groups
	}
	// The result is for all callers that wait here, so it must not depend on whether
	// the first of them stays.
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

// lines returns a line for each server that has a problem; none if all is well.
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

// readiness says whether requests should be sent to this shim: code is 200 or 503, and
// lines explain it.
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
		case !g.Routed: // no request goes to it
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

// groupReadiness is like readiness, for the requests of one group; code is 404 if no
// group has this name.
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
