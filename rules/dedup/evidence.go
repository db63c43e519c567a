package dedup

import "slices"

// evidence looks for a mark that c is the re-send of and a login that pays for
// it. r is the login that issued c's token, nil if unknown.
//
// A mark of a refusal comes first: its re-send must be executed, and should it
// be another thread's, then that one's answer is left for this thread. Then
// the newest: of several equal calls the last one answered is the one whose
// client logged in last.
func (m *Machine) evidence(c *call, r *login) (slot, *login) {
	if r == nil || !r.refresh || !r.open && !r.lent && !r.overwrote(c.peer) {
		return 0, nil // no login can pay: most calls of a client whose header arrives end here
	}
	var (
		found slot
		pays  *login
	)
	own := m.ownClient(c, r)
	refusedOnly := r.app.owedToRefusals(r, c.peer, own)
	for _, s := range slices.Backward(c.history.unspent) {
		mk := m.markIn(s)
		if (found != 0 || refusedOnly) && !mk.denied || mk.at >= r.requested || !mk.provokes(r) || !r.app.together(mk.by.peer, r.peer, c.peer) {
			continue
		}
		if own && mk.unissued {
			continue
		}
		by := r
		if !r.open && !r.lent {
			if !m.oneClient(c.history, &mk, r) {
				continue
			}
			if by = overwritten(r, &mk, c.peer); by == nil {
				break
			}
		}
		found, pays = s, by
		if mk.denied || len(r.app.refused) == 0 {
			break
		}
	}
	if found == 0 && !refusedOnly {
		return m.borrow(c, r)
	}
	return found, pays
}

// borrow looks for evidence where r's login can have come before the mark, or
// the mark's client is not known: a thread that is preempted stores its token
// late, over that of a login which was requested after the mark. Should that
// login be another client's, it still pays for its own call (login.lent).
func (m *Machine) borrow(c *call, r *login) (slot, *login) {
	for _, s := range slices.Backward(c.history.unspent) {
		mk := m.markIn(s)
		if !m.related(mk.by.lineage, r.lineage) || !mk.provokes(r) || !r.app.together(mk.by.peer, r.peer, c.peer) {
			continue
		}
		if l := overwritten(r, &mk, c.peer); l != nil && mk.at < l.requested {
			return s, l
		}
	}
	return 0, nil
}

// oneClient reports whether mk, of h, and r may be one client's as far as lineages tell.
// An orphan's answer is for its own lineage: overtaker finds whose else it is. A
// lineage that was guessed is no reason against the only call of a key, where
// clients have threads.
func (m *Machine) oneClient(h *history, mk *mark, r *login) bool {
	if mk.by.lineage == r.lineage {
		return true
	}
	if mk.owner != nil && mk.owner.orphan != nil {
		return false
	}
	return m.related(mk.by.lineage, r.lineage) || r.app.threads && h.single() && (r.guessed || m.guessed(mk.by.token))
}

// guessed reports whether the lineage of a token comes from one of several equal
// calls, which may have been another client's.
func (m *Machine) guessed(token Token) bool {
	l := m.logins[token]
	return l != nil && l.guessed
}

// single reports whether one call is all that is known of the key.
func (h *history) single() bool { return len(h.unspent)+len(h.spent) == 1 }

// owedToRefusals reports whether refused calls explain all open logins of the
// client: then none of them can be from a header that was lost. own says that
// the client is known from its first login on.
func (a *app) owedToRefusals(r *login, of peer, own bool) bool {
	refused, strange := 0, 0
	for _, s := range a.refused {
		mk := a.machine.markIn(s)
		switch {
		case mk.at >= r.requested || !a.together(mk.by.peer, r.peer, of):
		case own && mk.unissued:
		case a.strange(&mk, r):
			strange = 1
		default:
			refused++
		}
	}
	refused += strange
	if refused == 0 {
		return false
	}
	for _, l := range a.open {
		if a.together(l.peer, r.peer, of) {
			refused--
		}
	}
	return refused >= 0
}

// overwritten finds an open login whose token r's may have overwritten in the
// field that the threads of a client share: the first one after the answer, as
// clients log in at once. Later ones can pay for younger answers too.
func overwritten(r *login, mk *mark, of peer) (found *login) {
	for _, l := range r.app.open {
		if !l.overwrittenBy(r, mk, of) {
			continue
		}
		if found = l; mk.at < l.requested {
			break
		}
	}
	return found
}

// overwrittenBy reports whether r's token may have overwritten l's, and l is not
// one that a refusal explains better than mk.
func (l *login) overwrittenBy(r *login, mk *mark, of peer) bool {
	return r.after(l, of) && mk.provokes(l) && (mk.denied || !l.app.owedToRefusals(l, of, l.app.machine.fromItsStart(mk)))
}

// after reports whether o's token can have been in the shared field before l's:
// it had been given out when a call first carried l's. Which was requested first
// tells nothing.
func (l *login) after(o *login, of peer) bool {
	return o != l && (!l.used || o.issuedAt <= l.usedAt) && l.app.together(o.peer, l.peer, of)
}

// overwrote reports whether l's token may have overwritten that of any open login.
func (l *login) overwrote(of peer) bool {
	return slices.ContainsFunc(l.app.open, func(o *login) bool { return l.after(o, of) })
}

// spend uses up the mark of the call in s and the login that pays for it.
func (m *Machine) spend(c *call, r *login, s slot, pays *login) *mark {
	h := c.history
	mk := &m.unpackCall(h, s).mark
	c.spentMark, c.spentLogin = mk, pays
	mk.by.in.unlist(s)
	h.unspent = without(h.unspent, s)
	h.spent = append(h.spent, s)
	mk.spent = true
	mk.paid = payment{c.arrival, pays.token}
	if pays == r {
		r.lineage, r.guessed = mk.by.lineage, m.guessed(mk.by.token) || !h.single()
	}
	pays.lent = pays != r
	r.known = r.known || m.known(mk.by)
	r.app.threads = r.app.threads || pays != r && mk.by.lineage == r.lineage
	pays.pay()
	return mk
}

// orphaned reports whether r is open although every mark that its login can
// have come from is spent: another thread took the answer that was meant here.
func (m *Machine) orphaned(h *history, r *login) bool {
	if r == nil || !r.refresh || !r.open {
		return false
	}
	return slices.ContainsFunc(h.spent, func(s slot) bool {
		mk := m.markIn(s)
		return mk.at < r.requested && mk.provokes(r)
	})
}

// overtaker finds an orphan's answer for c: a call that took over the login of
// another thread, whose own re-send this is.
func (m *Machine) overtaker(c *call, r *login) *call {
	if r == nil || !r.refresh || !r.open && !m.paidBy(c.history, r) {
		return nil
	}
	for _, leader := range slices.Backward(c.history.leaders) {
		o := leader.orphan
		if o == nil || leader.mark.spent || !o.open || o == r || o.app != r.app || !r.app.together(leader.peer, o.peer, c.peer) {
			continue
		}
		if leader.phase == leading || leader.recorded() && m.mayHave(c, leader) {
			return leader
		}
	}
	return nil
}

// paidBy reports whether r paid for an answer of h.
func (m *Machine) paidBy(h *history, r *login) bool {
	return slices.ContainsFunc(h.spent, func(s slot) bool { return m.markIn(s).paid.token == r.token })
}

// taken finds the answer for the orphan c where the other thread's re-send was
// here before it: it carried the token whose login had paid for c's first send,
// came after that, and so looked like a first send.
func (m *Machine) taken(c *call, r *login) *call {
	if r.app.explained(r, c.peer) {
		return nil
	}
	for _, x := range slices.Backward(c.history.leaders) {
		l := m.logins[x.token]
		if l == nil || x.resend || x.left || x.mark.spent || x.reason != First || !l.refresh || l == r || l.app != r.app || l.open ||
			!r.app.together(x.peer, r.peer, c.peer) || x.phase != leading && !(x.recorded() && m.mayHave(c, x)) {
			continue
		}
		for _, s := range c.history.spent {
			if mk := m.markIn(s); mk.at < r.requested && mk.paid.token == x.token && mk.paid.arrival < x.arrival {
				return x
			}
		}
	}
	return nil
}

// isResend takes back that c looked like a first send.
func (c *call) isResend() {
	c.resend = true
	c.unmark()
}

// explained reports whether unspent marks account for every open login of the
// client: then r need not be an orphan's.
func (a *app) explained(r *login, of peer) bool {
	open := 0
	for _, l := range a.open {
		if l.requested <= r.requested && a.together(l.peer, r.peer, of) {
			open++
		}
	}
	for _, s := range a.unspent {
		mk := a.machine.markIn(s)
		if mk.at >= r.requested {
			break // the younger ones are behind it
		}
		if a.together(mk.by.peer, r.peer, of) {
			if open--; open == 0 {
				return true
			}
		}
	}
	return false
}
