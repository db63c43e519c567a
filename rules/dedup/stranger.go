package dedup

import "slices"

// A call whose token was refused leaves a mark, which explains the login that
// follows. But anybody can send such a call. If the token was given out here, its
// client is one of the app's. If not, it may be a client's that logged in before
// this process began, or a stranger's, who must not steer what becomes of others:
//
//   - from a trusted address it explains a login from there, and no other;
//   - where addresses tell nothing, all of them together explain one login;
//   - it explains no login whose client is known from its first login on and has
//     another open mark: that client's tokens are not refused.

// strange reports whether mk is a refusal that nothing ties to r's client.
func (a *app) strange(mk *mark, r *login) bool {
	return mk.denied && mk.unissued && (a.mixed || !r.addr.IsValid() || mk.by.peer.addr != r.addr)
}

// ownClient reports whether r may be the login of a client that is known from its
// first login on, for an answer to a call that equals c.
func (m *Machine) ownClient(c *call, r *login) bool {
	return slices.ContainsFunc(c.history.unspent, func(s slot) bool {
		mk := m.markIn(s)
		return m.fromItsStart(&mk) && mk.at < r.requested && mk.provokes(r) && r.app.together(mk.by.peer, r.peer, c.peer)
	})
}

// fromItsStart reports whether mk's client was seen when it first logged in.
func (m *Machine) fromItsStart(mk *mark) bool { return !mk.denied && m.known(mk.by) }

// known reports whether a caller's client was seen when it first logged in: its
// token goes back to a constructor's. The constructor's own may be forgotten.
func (m *Machine) known(by *caller) bool {
	for _, token := range [...]Token{by.token, by.lineage} {
		if l := m.logins[token]; l != nil && l.ours && (l.known || !l.refresh || l.agent.Foreign()) {
			return true
		}
	}
	return false
}
