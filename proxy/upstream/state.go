package upstream

import (
	"context"
	"time"

	"powerjob-shim/proxy/upstream/connect"
)

// waitForVerdict bounds how long Look waits for the result of the first probe.
const waitForVerdict = 500 * time.Millisecond

// State is what is known of a server.
type State struct {
	Reachable bool   // it has just accepted a connection, and its last probe, if any, found it ready
	Problem   string // "": none
	Advice    string // what to write into the configuration instead; "": none
}

// Look connects to a server of the group, and returns what is known of it now.
func (g *Group) Look(ctx context.Context, s *Server) State {
	var state State
	if why := s.lastCheck.Load(); why != nil {
		state.Problem = "health check: " + *why
	}
	if p := g.probers[s]; p != nil {
		waiting, cancel := context.WithTimeout(ctx, waitForVerdict)
		p.Wait(waiting)
		cancel()
		v := p.Verdict()
		if v == nil {
			state.Problem = "it has not answered yet"
			return state
		}
		if v.Problem != "" {
			state.Problem, state.Advice = v.Problem, v.Advice
		}
		if !v.Ready {
			return state
		}
	}
	c, err := g.Dial(ctx, s)
	if err != nil {
		g.probers[s].Doubt(err)
		return State{Problem: connect.Problem(err)}
	}
	_ = c.Close() // nothing was written
	state.Reachable = true
	return state
}
