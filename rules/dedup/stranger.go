package dedup

import (
	"powerjob-shim/internal/ordered"
	"powerjob-shim/rules/access"
)

// A call whose token was refused leaves a mark, which explains the login that
// follows. But anybody can send such a call. If the token was given out here, its
// client is one of the app's. If not, it may be a client that logged in before
// this process began, or a stranger, who must not steer what becomes of others:
//
//   - from a trusted address it explains a login from there, and no other;
//   - where addresses tell nothing, all of them together explain one login;
//   - it explains no login of a client whose constructor was seen here (clientKnown) if
//     an equal call of that client, not refused, has an open mark: that explains it better.

// refusedLike returns the list of refused calls that has a mark's call; nil if the mark
// is spent, its call was not refused, or nobody knows the app.
func (a *app) refusedLike(mk *mark) *ordered.List[*caller] {
	switch {
	case !mk.denied || mk.spent || a == nil:
		return nil
	case mk.unissued:
		return &a.strangers
	}
	return &a.refused
}

func (a *app) hasRefusals() bool { return a.refused.Len()+a.strangers.Len() > 0 }

// refusalsExplain reports whether refused calls explain all open logins of r's client:
// then no lost header can have caused one of them. of makes the call that is being decided.
func (m *Machine) refusalsExplain(r *login, of peer, clientKnown bool) bool {
	a := r.app
	if !a.hasRefusals() {
		return false
	}
	open := max(1, count(m, looks, a.open.Backward(ordered.Last), func(l *login) bool { return a.together(l.peer, r.peer, of) }))
	alike := func(by *caller) bool { return a.together(by.peer, r.peer, of) }
	explained := count(m, open, a.refused.Backward(before(r.requested)), alike)
	if clientKnown || explained == open {
		return explained == open
	}
	fromThere := func(by *caller) bool { return !a.mixed && r.addr.IsValid() && by.addr == r.addr }
	strangers := a.strangers.Backward(before(r.requested))
	explained += count(m, open, strangers, func(by *caller) bool { return alike(by) && fromThere(by) })
	explained += count(m, 1, strangers, func(by *caller) bool { return alike(by) && !fromThere(by) }) // all of them together
	return explained >= open
}

// ownClient reports whether r may be a known client's login for an equal call not refused.
func (m *Machine) ownClient(c *call, r *login) bool {
	return count(m, 1, m.unspent(c.history, before(r.requested)), func(mk candidate) bool {
		return !mk.denied && m.clientKnown(mk.by) && mk.provokes(r) && r.app.together(mk.by.peer, r.peer, c.by.peer)
	}) > 0
}

// clientKnown reports whether the shim saw this client's constructor log in, so that its
// whole token history is here. The constructor's own token may be forgotten.
func (m *Machine) clientKnown(by *caller) bool {
	for _, token := range [...]access.Token{by.token, by.lineage} {
		if l := m.seen(token); l.ours && (l.clientKnown || !l.refresh || l.agent.Foreign()) {
			return true
		}
	}
	return false
}
