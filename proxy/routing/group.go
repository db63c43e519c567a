package routing

import (
	"fmt"
	"sync/atomic"

	up "powerjob-shim/proxy/upstream"
	"powerjob-shim/rules/access"
)

// Group is a group of servers with what the proxy itself keeps for it.
type Group struct {
	Name     string
	Settings Upstream
	Upstream *up.Group
	Hop      []string // what it adds to LoopHeader

	// routedHost is the first exact host of the group's routes, for questions to
	// servers that get the callers' Host; nil where no route has an exact host. Reloads change it.
	routedHost atomic.Pointer[string]

	OutsideSeen atomic.Bool // a call outside the prefix was logged

	Issuer   *access.Issuer // of the login bridge; nil: the servers log in themselves
	Asserted Asserted
}

// newGroup makes a group of this process. old is the group of that name before,
// nil if there was none.
func newGroup(name, process string, u Upstream, old *Group, o up.Options) (*Group, error) {
	g := &Group{Name: name, Settings: u, Hop: newHop(process, name)}
	o.Host = g.askedHost
	var before *up.Group
	if old != nil {
		before = old.Upstream
	}
	var err error
	if g.Upstream, err = up.New(name, u.Settings, before, o); err != nil {
		return nil, fmt.Errorf("upstreams.%s: %w", name, err)
	}
	if u.Bridge != nil {
		g.Issuer = access.NewIssuer(name, *u.Bridge)
	}
	return g, nil
}

// askedHost is the Host of our own questions to servers that get the callers' Host;
// "": no route has an exact host.
func (g *Group) askedHost() string {
	if host := g.routedHost.Load(); host != nil {
		return *host
	}
	return ""
}
