package upstream

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// load is what a group has to carry. It outlives reloads that change the
// group's settings, and so do its servers: bounds hold over them, and a server
// that was found broken is not tried anew because a timeout changed.
type load struct {
	requests atomic.Int64
	ejecting sync.Mutex // one ejection at a time
}

// Admit counts a request in, unless the group has as many as it may. Each one
// that is admitted must call Leave.
func (g *Group) Admit() bool { return take(&g.load.requests, g.Settings.MaxRequests) }

// Leave counts out a request that was admitted.
func (g *Group) Leave() { g.load.requests.Add(-1) }

// take adds one to n unless that would be more than bound. 0: no bound.
func take(n *atomic.Int64, bound int) bool {
	if after := n.Add(1); bound > 0 && after > int64(bound) {
		n.Add(-1)
		return false
	}
	return true
}

// candidates returns the servers in the order in which a request tries them:
// the less loaded of two random ones first; then, as a last resort, those that
// are not up, the most promising ones first. only is the one that it must go to;
// nil: any. The result may be shared: read it only.
func (g *Group) candidates(only *Server) []*Server {
	if only != nil {
		return []*Server{only}
	}
	if len(g.Servers) == 1 {
		return g.Servers
	}
	order := make([]*Server, 0, len(g.Servers))
	var rest []*Server
	now := time.Now()
	for _, i := range rand.Perm(len(g.Servers)) { //nolint:gosec // spreading load needs no secret
		if s := g.Servers[i]; s.Standing(now) == StandingUp {
			order = append(order, s)
		} else {
			rest = append(rest, s)
		}
	}
	if len(order) > 1 && order[1].inFlight.Load() < order[0].inFlight.Load() {
		order[0], order[1] = order[1], order[0]
	}
	slices.SortStableFunc(rest, func(a, b *Server) int { return cmp.Compare(a.Standing(now), b.Standing(now)) })
	return append(order, rest...)
}
