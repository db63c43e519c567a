package dedup

import (
	"net/netip"

	"powerjob-shim/rules/openapi"
)

// peer is what tells clients apart without their tokens.
type peer struct {
	addr  netip.Addr // invalid: it cannot be trusted
	agent openapi.Agent
}

// together reports whether three peers may be one client.
func (a *app) together(x, y, z peer) bool {
	return (a.mixed || same(x.addr, y.addr, z.addr)) && same(x.agent, y.agent, z.agent)
}

// same reports whether three things may be the same one. A zero one tells nothing.
func same[T comparable](x, y, z T) bool {
	var none T
	return x == none || y == none || z == none || x == y && y == z
}

// callerOf returns by in the memory that calls share: that of the token's last call, if it is equal.
func (m *Machine) callerOf(by caller) *caller {
	last := &m.nobody
	by.lineage, by.in = by.token, m.apps[appKey{by.group, by.app}]
	if l := m.logins[by.token]; l != nil {
		by.lineage, last = l.lineage, &l.caller
	}
	if *last == nil || **last != by {
		*last = new(caller)
		**last = by
	}
	return *last
}
