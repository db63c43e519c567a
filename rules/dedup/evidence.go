package dedup

import (
	"iter"

	"powerjob-shim/internal/ordered"
	"powerjob-shim/rules/access"
)

// evidence finds the mark that c is the re-send of and the login that pays for it.
// r is the login that issued c's token, nil if unknown. Of all claims that can be
// made the likeliest counts.
func (m *Machine) evidence(c *call, r *login) claim {
	if r == nil || !r.refresh {
		return claim{}
	}
	payers := m.payers(r, c.peer)
	if len(payers.all) == 0 && !r.open && !r.paidForAnother {
		return claim{} // most calls of a client whose header arrives end here
	}
	own := m.ownClient(c, r)
	refusedOnly := payers.refusals.explain(r, own)
	var best claim
	for key, mk := range m.candidates(c.history, r) {
		if refusedOnly && !mk.denied || !mk.provokes(r) || !r.app.together(mk.by.peer, r.peer, c.peer) {
			continue
		}
		k := claim{mark: mk, key: key}
		if k.pays, k.grounds = m.payerOf(c, r, &mk, &payers, own); refusedOnly && k.grounds == borrowedLogin {
			continue
		}
		if k.likelier(&best) {
			best = k
		}
		if best.grounds > borrowedLogin && (best.mark.denied || !r.app.hasRefusals()) {
			break // nothing that is older is likelier
		}
	}
	return best
}

// claim is a mark and a login that may pay for its re-send.
type claim struct {
	mark    mark
	key     ordered.Key // of the mark
	pays    *login
	grounds grounds
}

// grounds are why a login may pay for a mark, the likeliest last.
type grounds uint8

const (
	noGrounds grounds = iota
	// borrowedLogin: another open login pays, requested after the mark. The token of r,
	// though r may have been requested before the mark, has overwritten that
	// login's: a thread that is preempted stores its token late. Should the login
	// be another client's, it still pays for its own call (login.paidForAnother).
	borrowedLogin
	// passedLogin: r was requested after the mark, but has paid for another call of its
	// client, and another open login pays, whose token r's has overwritten.
	passedLogin
	// ownLogin: r itself pays, which was requested after the mark.
	ownLogin
)

// likelier reports whether k is likelier than another claim. Of those whose login
// was requested after the mark, a refusal comes first: its re-send must be executed,
// and should it be another thread's, then that one's answer is left for this thread.
// Then the newest: of several equal calls the last one answered is the one whose
// client logged in last.
func (k *claim) likelier(than *claim) bool {
	sure, thanSure := k.grounds > borrowedLogin, than.grounds > borrowedLogin
	switch {
	case k.grounds == noGrounds || than.grounds == noGrounds:
		return k.grounds != noGrounds
	case sure != thanSure:
		return sure
	case sure && k.mark.denied != than.mark.denied:
		return k.mark.denied
	}
	return than.key.Less(k.key)
}

// candidates yields the unspent marks that a call with the token of r may be the
// re-send of: those before r was requested, then the younger ones, both from the
// newest on.
func (m *Machine) candidates(h *history, r *login) iter.Seq2[ordered.Key, mark] {
	return func(yield func(ordered.Key, mark) bool) {
		requested := before(r.requested)
		for key, mk := range few(m, m.unspent(h, requested)) {
			if !yield(key, mk) {
				return
			}
		}
		for key, mk := range few(m, m.unspent(h, end)) {
			if key.Less(requested) || !yield(key, mk) {
				return
			}
		}
	}
}

// payerOf finds the login that pays for mk, and on what grounds.
func (m *Machine) payerOf(c *call, r *login, mk *mark, payers *payers, known bool) (*login, grounds) {
	mayOwn := mk.at < r.requested && !(known && mk.unissued)
	if mayOwn && (r.open || r.paidForAnother) {
		return r, ownLogin
	}
	l := m.overwritten(mk, payers)
	switch {
	case l == nil:
	case mayOwn && m.oneClient(c.history, mk, r):
		return l, passedLogin
	case mk.at < l.requested && m.related(mk.by.lineage, r.lineage):
		return l, borrowedLogin
	}
	return nil, noGrounds
}

// oneClient reports whether mk, of h, and r may be one client's as far as lineages
// tell. An orphan's answer is for its own lineage: otherHalf finds whose else it is.
// A lineage that was guessed is no reason against the only call of a key, where
// clients have threads.
func (m *Machine) oneClient(h *history, mk *mark, r *login) bool {
	if mk.by.lineage == r.lineage {
		return true
	}
	if mk.owner != nil && mk.owner.orphan != nil {
		return false
	}
	return m.related(mk.by.lineage, r.lineage) || r.app.threads && m.single(h) && (r.guessed || m.guessed(mk.by.token))
}

// guessed reports whether the lineage of a token comes from one of several equal
// calls, which may have been another client's.
func (m *Machine) guessed(token access.Token) bool {
	l := m.logins[token]
	return l != nil && l.guessed
}

// single reports whether one call is all that is known of the key.
func (m *Machine) single(h *history) bool {
	return h.unspent.Len()+h.spent.Len()+m.over.Count(h.key) == 1
}

// payers are the open logins whose tokens the one of a call may have overwritten in
// the field that the threads of a client share, the last requested first.
type payers struct {
	all      []payer
	refusals refusals
}

// payer is an open login that may pay for a call with another token.
type payer struct {
	*login
	owed        answerOnce // refusals.explain
	owedIfKnown answerOnce // the same for a client that is known from its first login on
}

func (m *Machine) payers(r *login, of peer) payers {
	found := payers{refusals: refusals{m: m, of: of}}
	for _, l := range few(m, r.app.open.Backward(end)) {
		if r.overwrote(l, of) {
			found.all = append(found.all, payer{login: l})
		}
	}
	return found
}

// overwrote reports whether o's token can have been in the shared field before l's:
// it had been given out when a call first carried l's. Which was requested first
// tells nothing.
func (l *login) overwrote(o *login, of peer) bool {
	return o != l && (!l.used || o.issuedAt <= l.usedAt) && l.app.together(o.peer, l.peer, of)
}

// overwritten finds the one of payers that pays for mk: the first one after the
// answer, as clients log in at once, or else the last one before it. Later ones can
// pay for younger answers too.
func (m *Machine) overwritten(mk *mark, payers *payers) (found *login) {
	known := m.fromItsStart(mk)
	for i := range payers.all {
		p := &payers.all[i]
		if !mk.provokes(p.login) || !mk.denied && payers.owed(p, known) { // a refusal explains p better
			continue
		}
		if mk.at < p.requested {
			found = p.login
			continue
		}
		if found == nil {
			found = p.login
		}
		break
	}
	return found
}

// owed reports whether refused calls explain p and all other open logins of its
// client.
func (ps *payers) owed(p *payer, known bool) bool {
	answer := &p.owed
	if known {
		answer = &p.owedIfKnown
	}
	if *answer == notAsked {
		*answer = no
		if ps.refusals.explain(p.login, known) {
			*answer = yes
		}
	}
	return *answer == yes
}

// answerOnce is the answer to a question that is asked once at most.
type answerOnce uint8

const (
	notAsked answerOnce = iota
	no
	yes
)

// spend uses up the mark and the login of a claim.
func (m *Machine) spend(c *call, r *login, k *claim) *mark {
	h, single := c.history, m.single(c.history)
	mk := m.recall(h, k)
	c.spentMark, c.spentLogin = mk, k.pays
	mk.unlink()
	h.spent.Add(mk.key(), mk)
	mk.spent = true
	mk.paid = payment{c.arrival, k.pays.token}
	if k.pays == r {
		r.lineage, r.guessed = mk.by.lineage, m.guessed(mk.by.token) || !single
	}
	r.known = r.known || m.known(mk.by)
	k.pays.paidForAnother = k.pays != r
	r.app.threads = r.app.threads || k.pays != r && mk.by.lineage == r.lineage
	m.close(k.pays)
	return mk
}
