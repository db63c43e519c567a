package dedup

import (
	"time"

	"powerjob-shim/internal/ordered"
	"powerjob-shim/rules/access"
)

// Finish takes in how a leader's forwarding ended. It must come before the
// answer is written to the caller. A call that is not leading is ignored: its
// lease ended, and it counts as Lost.
func (m *Machine) Finish(t time.Time, id ID, out Outcome) {
	now := m.expireDue(t)
	if c := m.calls[id]; c != nil && c.phase == leading {
		m.finish(now, c, out)
	}
}

func (m *Machine) finish(now moment, c *call, out Outcome) {
	c.phase, c.outcome, c.answer, c.mark.passed = answered, out.Kind, out.Answer, out.Passed
	if c.creates && out.Kind == Kept && len(out.Created) == 0 {
		c.unknown = true // something was made, and nobody knows what
	}
	if !c.unlisted || out.mayHaveChanged() {
		m.raiseAtEnd(c, out.Created)
	}

	kept := c.dedup && out.Kind == Kept
	if !kept {
		c.history.unlinkLeader(c)
	}
	repeatable := kept || out.Kind == Denied && c.token != (access.Token{}) || out.Kind == Answered && out.Status == 200
	if repeatable && !c.left && !c.resend {
		m.leaveMark(now, c, out.Kind == Denied)
	}
	if kept {
		m.stats.Bytes += out.Answer.Bytes()
		m.remember(now, c)
	}
}

// mayHaveChanged reports whether a call may have changed something, as far as
// its end tells: it reached a server that has such a call and executes it.
func (out Outcome) mayHaveChanged() bool {
	return out.Kind != NotSent && out.Kind != Denied && out.Status != 404 && out.Status != 405
}

// Leave takes in that a caller hung up before its answer was written in full:
// while its call was in flight or waiting, or in the middle of writing. What
// the answer had used up is given back, and the caller's retry will be known.
func (m *Machine) Leave(t time.Time, id ID) {
	m.expireDue(t)
	c := m.calls[id]
	if c == nil || c.left {
		return
	}
	c.left = true
	c.forgetMark()
	if c.spentMark != nil && (c.leader != nil || !c.dedup) {
		m.giveBack(c)
	} else { // the retry is known by its token
		c.source().owe(c.asDeserter(), c.resend)
	}
	if c.phase != leading {
		m.forgetArrival(c)
	}
}

// Delivered takes in that a caller has its answer in full, or that a call
// whose verdict was Pass or Fail is over.
func (m *Machine) Delivered(t time.Time, id ID) {
	m.expireDue(t)
	if c := m.calls[id]; c != nil && c.phase != leading {
		m.forgetArrival(c)
	}
}

// forgetArrival ends an arrival. What others may still need of it, its answer or
// its mark, stays until its window ends.
func (m *Machine) forgetArrival(c *call) {
	delete(m.calls, c.id)
	c.history.open--
	m.leases.Remove(c.leaseKey())
	m.stats.InFlight = len(m.calls)
	if c.phase == waiting {
		c.phase = dropped
	}
	if !c.remembered() {
		m.forgetCall(c)
	} else if !c.dedup && c.mark.set && !c.mark.spent { // for its mark alone, as a read is
		m.put(c)
	}
	m.settle(c.history)
}

// remembered reports whether c is in the queue of windows.
func (c *call) remembered() bool { return c.recorded() && c.dedup || c.mark.set }

// forgetCall forgets all that c holds.
func (m *Machine) forgetCall(c *call) {
	m.unlinkWatches(c)
	c.forgetMark()
	c.history.unlinkLeader(c)
}

// unlinkLeader removes c from h's leaders, if it is among them.
func (h *history) unlinkLeader(c *call) {
	if c.started != 0 {
		h.leaders.Remove(c.leaderKey())
	}
}

// leaveMark notes that c's answer is being written to a first send.
func (m *Machine) leaveMark(now moment, c *call, denied bool) {
	c.mark = mark{stamp: stamp{set: true, denied: denied, unissued: denied && !m.ours(c.token), passed: c.mark.passed, at: now}, owner: c, by: m.callerOf(c)}
	c.mark.link()
	if !c.recorded() || !c.dedup {
		m.remember(now, c)
	}
}

// ours reports whether a token was seen being given out.
func (m *Machine) ours(token access.Token) bool {
	l := m.logins[token]
	return l != nil && l.ours
}

func (c *call) forgetMark() {
	if !c.mark.set {
		return
	}
	if c.mark.spent {
		c.history.spent.Remove(c.mark.key())
	} else {
		c.mark.unlink()
	}
	c.mark.set = false
}

// giveBack undoes what c spent: a re-send's answer could not be delivered.
func (m *Machine) giveBack(c *call) {
	if mk := c.spentMark; mk.set && mk.spent {
		mk.owner.history.spent.Remove(mk.key())
		mk.spent = false
		mk.link()
	}
	if l := c.spentLogin; l.paidForAnother || l.token == c.token { // else it has paid for its own meanwhile
		l.paidForAnother = false
		m.reopen(l)
	}
}

// link puts mk among the unspent marks of its key and, if its token was refused, among
// those that explain a login of its app.
func (mk *mark) link() {
	mk.owner.history.unspent.Add(mk.key(), mk)
	if refused := mk.by.in.refusedLike(&mk.stamp); refused != nil {
		refused.Add(mk.key(), mk.by)
	}
}

// unlink undoes link.
func (mk *mark) unlink() {
	mk.owner.history.unspent.Remove(mk.key())
	if refused := mk.by.in.refusedLike(&mk.stamp); refused != nil {
		refused.Remove(mk.key())
	}
}

// key is where a mark is among others.
func (mk *mark) key() ordered.Key { return ordered.Key{At: int64(mk.at), N: mk.owner.arrival} }

func (c *call) leaderKey() ordered.Key { return ordered.Key{N: c.started} }

func (c *call) endKey() ordered.Key { return ordered.Key{At: int64(c.ends), N: c.arrival} }

func (c *call) leaseKey() ordered.Key { return ordered.Key{At: int64(c.lease), N: c.arrival} }
