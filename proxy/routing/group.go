package routing

import (
	"fmt"
	"sync/atomic"

	up "powerjob-shim/proxy/upstream"
	"powerjob-shim/rules/access"
)

// Group is a group of servers, and the proxy's own state for it. Safe for concurrent use.
type Group struct {
	Name     string
	Settings Upstream
	Upstream *up.Group
	Hop      []string // what the group adds to LoopHeader; one element

	// routedHost is the first exact host of the group's routes; nil: none of them has
	// one. The shim's own requests use it for servers that get the callers' Host. A
	// reload may change it.
	routedHost atomic.Pointer[string]

	OutsideSeen atomic.Bool // a call outside the group's OpenAPI prefix was logged already

	Issuer   *access.Issuer // of the login bridge; nil: the servers handle logins themselves
	Asserted Asserted
}

// newGroup makes a group. process identifies this process, see Compile. old is the
// previous group of that name; nil: there was none.
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

// askedHost returns the Host of the shim's own requests to servers that get the callers'
// Host; "": no route has an exact host.
func (g *Group) askedHost() string {
	if host := g.routedHost.Load(); host != nil {
		return *host
	}
	return ""
}
