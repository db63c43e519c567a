package dedup

import "powerjob-shim/rules/access"

// Two threads of a client can change places: the first call of one is given the
// answer that the re-send of the other was to have. That leaves two halves of one
// call:
//
//   - an orphan, whose login is open although every answer that it can have come from
//     is spent;
//   - an overtaken re-send, which carries the token whose login has paid for one of
//     these answers, comes after that, and so looks like a first send.
//
// Whichever comes first is executed, and the other gets its answer.

// orphaned reports whether r is open although every mark that its login can
// have come from is spent: another thread took the answer that was meant here.
func (m *Machine) orphaned(h *history, r *login) bool {
	if r == nil || !r.refresh || !r.open {
		return false
	}
	for _, mk := range few(m, h.spent.Backward(before(r.requested))) {
		if mk.provokes(r) {
			return true
		}
	}
	return false
}

// otherHalf finds the call that c is one with, the newest of several. orphan says
// that c is an orphan.
func (m *Machine) otherHalf(c *call, r *login, orphan bool) *call {
	if r == nil || !r.refresh {
		return nil
	}
	for _, x := range few(m, c.history.leaders.Backward(end)) {
		if x.mark.spent || x.phase != leading && !(x.recorded() && m.mayHave(c, x)) {
			continue
		}
		if m.isOrphan(x, c, r) && (r.open || m.paidFor(c.history, r.token, nil, nil)) || orphan && m.isOvertaken(x, c, r) {
			return x
		}
	}
	return nil
}

// isOrphan reports whether x is an orphan whose client c may be, with the token of r.
func (m *Machine) isOrphan(x, c *call, r *login) bool {
	o := x.orphan
	return o != nil && o.open && o != r && o.app == r.app && r.app.together(x.peer, o.peer, c.peer)
}

// isOvertaken reports whether x is the overtaken re-send to the orphan c.
func (m *Machine) isOvertaken(x, c *call, r *login) bool {
	if x.orphan != nil || x.resend || x.left || x.reason != First {
		return false
	}
	l := m.logins[x.token]
	return l != nil && l.refresh && !l.open && l != r && l.app == r.app &&
		r.app.together(x.peer, r.peer, c.peer) && m.paidFor(c.history, x.token, x, r)
}

// paidFor reports whether the login of a token paid for an answer of h; if x is
// given, before x came and for an answer older than r.
func (m *Machine) paidFor(h *history, token access.Token, x *call, r *login) bool {
	last := end
	if r != nil {
		last = before(r.requested)
	}
	for _, mk := range few(m, h.spent.Backward(last)) {
		if paid := mk.paid; paid.token == token && (x == nil || paid.arrival < x.arrival) {
			return true
		}
	}
	return false
}

// becomeResend takes back that c looked like a first send.
func (c *call) becomeResend() {
	c.resend = true
	c.forgetMark()
}
