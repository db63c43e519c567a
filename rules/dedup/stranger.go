package dedup

import (
	"powerjob-shim/internal/ordered"
	"powerjob-shim/rules/access"
)

// A call whose token was refused leaves a mark, which explains the login that
// follows. But anybody can send such a call. If the token was given out here, its
// client is one of the app's. If not, it may be a client's that logged in before
// this process began, or a stranger's, who must not steer what becomes of others:
//
//   - from a trusted address it explains a login from there, and no other;
//   - where addresses tell nothing, all of them together explain one login;
//   - it explains no login whose client is known from its first login on and has
//     another open mark: that client's tokens are not refused.

// refusedLike returns the list of refused calls that a mark is in while it is
// unspent, nil where its call was not refused or nobody knows the app.
func (a *app) refusedLike(mk *stamp) *ordered.List[*caller] {
	switch {
	case !mk.denied || a == nil:
		return nil
	case mk.unissued:
		return &a.strangers
	}
	return &a.refused
}

func (a *app) hasRefusals() bool { return a.refused.Len()+a.strangers.Len() > 0 }

// refusals tells which logins of a client refused calls explain. It is for one call,
// and counts once what is the same for several logins.
type refusals struct {
	m    *Machine
	of   peer // who makes the call
	like peer // open is for logins of it
	open int  // 0: not counted yet
}

// explain reports whether refused calls explain all open logins of r's client: then
// none of them can be from a header that was lost. known says that the client is
// known from its first login on.
func (rs *refusals) explain(r *login, known bool) bool {
	if rs.open == 0 || rs.like != r.peer {
		rs.like, rs.open = r.peer, max(rs.openLike(r), 1)
	}
	return rs.before(r, known, rs.open) == rs.open
}

// openLike counts the open logins of r's client.
func (rs *refusals) openLike(r *login) (n int) {
	for _, l := range few(rs.m, r.app.open.Backward(end)) {
		if r.app.together(l.peer, r.peer, rs.of) {
			n++
		}
	}
	return n
}

// before counts the refused calls that may explain r's login, up to most.
func (rs *refusals) before(r *login, known bool, most int) (n int) {
	a := r.app
	for _, by := range few(rs.m, a.refused.Backward(before(r.requested))) {
		if a.together(by.peer, r.peer, rs.of) {
			if n++; n == most {
				return n
			}
		}
	}
	if known {
		return n
	}
	strange := 0 // all together explain one login
	for _, by := range few(rs.m, a.strangers.Backward(before(r.requested))) {
		switch {
		case !a.together(by.peer, r.peer, rs.of):
		case a.mixed || !r.addr.IsValid() || by.peer.addr != r.addr:
			strange = 1
		default:
			n++
		}
		if n+strange == most {
			return most
		}
	}
	return n + strange
}

// ownClient reports whether r may be the login of a client that is known from its
// first login on, for an answer to a call that equals c.
func (m *Machine) ownClient(c *call, r *login) bool {
	for _, mk := range few(m, m.unspent(c.history, before(r.requested))) {
		if m.fromItsStart(&mk) && mk.provokes(r) && r.app.together(mk.by.peer, r.peer, c.peer) {
			return true
		}
	}
	return false
}

// fromItsStart reports whether mk's client was seen when it first logged in.
func (m *Machine) fromItsStart(mk *mark) bool { return !mk.denied && m.known(mk.by) }

// known reports whether a caller's client was seen when it first logged in: its
// token goes back to a constructor's. The constructor's own may be forgotten.
func (m *Machine) known(by *caller) bool {
	for _, token := range [...]access.Token{by.token, by.lineage} {
		if l := m.logins[token]; l != nil && l.ours && (l.known || !l.refresh || l.agent.Foreign()) {
			return true
		}
	}
	return false
}
