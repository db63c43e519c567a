package dedup

import (
	"cmp"

	"powerjob-shim/internal/ordered"
	"powerjob-shim/rules/access"
)

// Two threads of a client can change places: the first call of one is given the answer that the
// re-send of the other was to have. That leaves two halves of one call:
//
//   - an orphan, a call after a login for which every earlier equal answer was already
//     given to somebody else;
//   - an overtaken re-send, which comes after its own login has paid for one of these
//     answers, and so looks like a first send.
//
// Whichever comes first is executed, and the other gets its answer.

// orphaned reports whether an equal call with the token of r is an orphan.
func (m *Machine) orphaned(h *history, r *login) bool {
	return r != nil && r.refresh && r.open &&
		count(m, 1, h.spent.Backward(before(r.requested)), func(x *call) bool { return x.mark.provokes(r) }) > 0
}

// otherHalf finds the call that is one with c, the newest of several. orphan says
// that c is an orphan.
func (m *Machine) otherHalf(c *call, r *login, orphan bool) *call {
	if r == nil || !r.refresh {
		return nil
	}
	return m.newest(&c.history.leaders, func(x *call) bool {
		if x.mark.spent || x.phase != leading && !(x.recorded() && m.mayHave(c, x)) {
			return false
		}
		return isOrphan(x, c, r) && (r.open || m.paidFor(c.history, r.token, ordered.Last, ordered.Last.N)) || orphan && m.isOvertaken(x, c, r)
	})
}

// join uses up what c and its other half are owed: they are one call. r is c's token.
func (m *Machine) join(c, other *call, r *login) {
	c.spentLogin, other.orphan = cmp.Or(other.orphan, r), nil
	m.close(c.spentLogin)
	other.resend = true // although it looked like a first send
	other.forgetMark()
}

// isOrphan reports whether x is an orphan, and c may be of the same client; r is c's token.
func isOrphan(x, c *call, r *login) bool {
	o := x.orphan
	return o != nil && o.open && o != r && o.app == r.app && r.app.together(x.by.peer, o.peer, c.by.peer)
}

// isOvertaken reports whether x is the overtaken re-send to the orphan c.
func (m *Machine) isOvertaken(x, c *call, r *login) bool {
	l := m.seen(x.by.token)
	return x.orphan == nil && !x.resend && !x.left && x.reason == First &&
		l.refresh && !l.open && l != r && l.app == r.app && r.app.together(x.by.peer, r.peer, c.by.peer) &&
		m.paidFor(c.history, x.by.token, before(r.requested), x.arrival)
}

// paidFor reports whether a mark of h older than last was spent with this token's login,
// by a call that arrived before number arrival.
func (m *Machine) paidFor(h *history, token access.Token, last ordered.Key, arrival uint64) bool {
	return count(m, 1, h.spent.Backward(last), func(x *call) bool { return x.mark.paidBy == token && x.mark.spentBy < arrival }) > 0
}
