package upstream

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// load is a group's state that outlives reloads, as its servers do. So bounds hold across
// a reload, and a server that was found broken does not get requests again because a
// timeout was changed.
type load struct {
	requests atomic.Int64
	ejecting sync.Mutex // one ejection at a time
}

// Admit counts a request in. It returns false if the group already has MaxRequests. Each
// request that was admitted must call Leave.
func (g *Group) Admit() bool { return take(&g.load.requests, g.Settings.MaxRequests) }

// Leave counts out a request that was admitted.
func (g *Group) Leave() { g.load.requests.Add(-1) }

// take adds one to n, unless n would exceed bound; a bound of 0 is none. It reports
// whether it did.
func take(n *atomic.Int64, bound int) bool {
	if after := n.Add(1); bound > 0 && after > int64(bound) {
		n.Add(-1)
		return false
	}
	return true
}

// candidates returns the servers in the order in which a request tries them: first
// those that are up, in random order but with the less loaded of the first two in
// front; then, as a last resort, the others, the best standing first. If only is not
// nil, it is the only candidate. The result may be shared: read it only.
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
