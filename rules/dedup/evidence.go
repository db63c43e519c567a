package dedup

import (
	"cmp"
	"iter"

	"powerjob-shim/internal/ordered"
)

// evidence finds the mark whose re-send c is, and the login that pays for it: the
// likeliest of all claims. r is the record of c's token; nil if c has none.
func (m *Machine) evidence(c *call, r *login) claim {
	if r == nil || !r.refresh {
		return claim{}
	}
	payers := m.payers(r, c.by.peer)
	if len(payers) == 0 && !r.open && !r.paidForAnother {
		return claim{} // most calls of a client whose header arrives end here
	}
	own := m.ownClient(c, r)
	refusedOnly := m.refusalsExplain(r, c.by.peer, own)
	var best claim
	for key, mk := range m.candidates(c.history, r) {
		if refusedOnly && !mk.denied || !mk.provokes(r) || !r.app.together(mk.by.peer, r.peer, c.by.peer) {
			continue
		}
		k := claim{candidate: mk, key: key}
		if k.pays, k.grounds = m.payerOf(c, r, &mk, payers, own); refusedOnly && k.grounds == borrowedLogin {
			continue
		}
		if k.likelier(&best) {
			best = k
		}
		if best.grounds > borrowedLogin && (best.denied || !r.app.hasRefusals()) {
			break // nothing that is older is likelier
		}
	}
	return best
}

// claim is a mark and a login that may pay for its re-send.
type claim struct {
	candidate
	key     ordered.Key // of the mark
	pays    *login
	grounds grounds
}

// grounds are why a login may pay for a mark, the likeliest last.
type grounds uint8

const (
	noGrounds grounds = iota
	// borrowedLogin: r may be too early to pay, but another open login of this client came
	// after the mark, and its token was overwritten by r's: let that one pay. If it was
	// another client's, it may still pay once for its own (login.paidForAnother).
	borrowedLogin
	// passedLogin: r was requested after the mark, but has paid for another call of its
	// client, and another open login pays, whose token r's has overwritten.
	passedLogin
	// ownLogin: r itself pays, which was requested after the mark.
	ownLogin
)

// likelier reports whether k is likelier than another claim. Of those whose login was requested
// after the mark, a refusal comes first: its re-send must be executed, and if the refused call was
// another thread's, that thread's answer is left for this one. Then the newest comes: of several
// equal calls the last one answered is the one whose client logged in last.
func (k *claim) likelier(than *claim) bool {
	sure, thanSure := k.grounds > borrowedLogin, than.grounds > borrowedLogin
	switch {
	case k.grounds == noGrounds || than.grounds == noGrounds:
		return k.grounds != noGrounds
	case sure != thanSure:
		return sure
	case sure && k.denied != than.denied:
		return k.denied
	}
	return than.key.Less(k.key)
}

// candidates yields the unspent marks whose re-send a call with r's token may be: first those
// left before r was requested, then the younger ones, each from the newest on.
func (m *Machine) candidates(h *history, r *login) iter.Seq2[ordered.Key, candidate] {
	return func(yield func(ordered.Key, candidate) bool) {
		requested := before(r.requested)
		for key, mk := range few(m, m.unspent(h, requested)) {
			if !yield(key, mk) {
				return
			}
		}
		for key, mk := range few(m, m.unspent(h, ordered.Last)) {
			if key.Less(requested) || !yield(key, mk) {
				return
			}
		}
	}
}

// payerOf finds the login that pays for a mark, and on what grounds.
func (m *Machine) payerOf(c *call, r *login, mk *candidate, payers []payer, clientKnown bool) (*login, grounds) {
	mayOwn := mk.at < r.requested && !(clientKnown && mk.unissued)
	if mayOwn && (r.open || r.paidForAnother) {
		return r, ownLogin
	}
	l := m.overwritten(mk, payers, c.by.peer)
	switch {
	case l == nil:
	case mayOwn && m.oneClient(c.history, mk, r):
		return l, passedLogin
	case mk.at < l.requested && m.related(mk.by.lineage, r.lineage):
		return l, borrowedLogin
	}
	return nil, noGrounds
}

// oneClient reports whether a mark of h and r may be one client's, judged by their
// lineages. An orphan's mark is only for its own lineage: otherHalf finds its other half.
// A guessed lineage, that of one of several equal calls, does not rule out the only call
// of a key where clients have threads.
func (m *Machine) oneClient(h *history, mk *candidate, r *login) bool {
	if mk.by.lineage == r.lineage {
		return true
	}
	if mk.call != nil && mk.call.orphan != nil {
		return false
	}
	return m.related(mk.by.lineage, r.lineage) || r.app.threads && m.single(h) && (r.guessed || m.seen(mk.by.token).guessed)
}

// single reports whether one call is all that is known of the key.
func (m *Machine) single(h *history) bool {
	return h.unspent.Len()+h.spent.Len()+m.over.Count(h.key) == 1
}

// payer is an open login that may pay for a call with another token: in the field that
// the threads of a client share, that token may have overwritten its own.
type payer struct {
	*login
	// Whether refusals explain it: [1] if its client is known, [0] if not. Found once for all marks.
	asked, explained [2]bool
}

// payers returns the logins whose tokens r's token may have overwritten, the last
// requested first.
func (m *Machine) payers(r *login, of peer) (found []payer) {
	for _, l := range few(m, r.app.open.Backward(ordered.Last)) {
		if r.overwrote(l, of) {
			found = append(found, payer{login: l})
		}
	}
	return found
}

// overwrote reports whether o's token can have been in the shared field before l's: it was
// given out before a call first carried l's. Which was requested first tells nothing.
func (l *login) overwrote(o *login, of peer) bool {
	return o != l && (!l.used || o.issuedAt <= l.usedAt) && l.app.together(o.peer, l.peer, of)
}

// overwritten finds the payer of a mark: the first login after the answer, as clients
// log in at once, or else the last one before it. Later logins can pay for younger
// answers too.
func (m *Machine) overwritten(mk *candidate, payers []payer, by peer) (found *login) {
	clientKnown := !mk.denied && m.clientKnown(mk.by)
	for i := range payers {
		p := &payers[i]
		if !mk.provokes(p.login) || !mk.denied && m.owed(p, by, clientKnown) { // a refusal explains p better
			continue
		}
		if mk.at >= p.requested {
			return cmp.Or(found, p.login)
		}
		found = p.login
	}
	return found
}

// owed reports whether p and all other open logins of its client owe their re-sends to
// refused calls.
func (m *Machine) owed(p *payer, by peer, clientKnown bool) bool {
	client := 0
	if clientKnown {
		client = 1
	}
	if !p.asked[client] {
		p.asked[client], p.explained[client] = true, m.refusalsExplain(p.login, by, clientKnown)
	}
	return p.explained[client]
}

// spend uses up the mark and the login of a claim, and returns the call that left it.
func (m *Machine) spend(c *call, r *login, k *claim) *call {
	first := k.call
	if first == nil {
		o := m.over.RecallMark(c.key, k.key)
		first = m.recalled(c.history, &o)
	}
	c.repeats, c.spentLogin = first, k.pays
	first.setSpent(true)
	first.mark.spentBy, first.mark.paidBy = c.arrival, k.pays.token
	if k.pays == r {
		r.lineage, r.guessed = k.by.lineage, m.seen(k.by.token).guessed || !m.single(c.history)
	}
	r.clientKnown = r.clientKnown || m.clientKnown(k.by)
	k.pays.paidForAnother = k.pays != r
	r.app.threads = r.app.threads || k.pays != r && k.by.lineage == r.lineage
	m.close(k.pays)
	return first
}
