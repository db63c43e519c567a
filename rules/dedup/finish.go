package dedup

import (
	"slices"
	"time"
)

// Finish takes in how a leader's forwarding ended. It must come before the
// answer is written to the caller. A call that is not leading is ignored: its
// lease ended, and it counts as Lost.
func (m *Machine) Finish(t time.Time, id ID, out Outcome) {
	now := m.sweep(t)
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
		c.history.drop(c)
	}
	repeatable := kept || out.Kind == Denied && c.token != (Token{}) || out.Kind == Answered && out.Status == 200
	if repeatable && !c.left && !c.resend {
		m.leaveMark(now, c, out.Kind == Denied)
	}
	if kept {
		m.stats.Bytes += out.Answer.bytes()
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
	m.sweep(t)
	c := m.calls[id]
	if c == nil || c.left {
		return
	}
	c.left = true
	c.unmark()
	switch {
	case c.spentMark != nil && (c.leader != nil || !c.dedup):
		m.giveBack(c)
	case c.reason == Retry:
		c.leader.owe(c.wasLost)
	default: // the retry is known by its token
		c.source().owe(c.asLost())
	}
	if c.phase != leading {
		m.forget(c)
	}
}

// Delivered takes in that a caller has its answer in full, or that a call
// whose verdict was Pass or Fail is over.
func (m *Machine) Delivered(t time.Time, id ID) {
	m.sweep(t)
	if c := m.calls[id]; c != nil && c.phase != leading {
		m.forget(c)
	}
}

// forget closes an arrival. What others may still need of it, its answer or
// its mark, stays until its window ends.
func (m *Machine) forget(c *call) {
	delete(m.calls, c.id)
	c.history.open--
	m.stats.InFlight = len(m.calls)
	m.trimLeases()
	if c.phase == waiting {
		c.phase = dropped
	}
	if !c.remembered() {
		m.clear(c)
	} else if c.isMark() {
		m.packCall(c)
	}
	m.pack(c.history)
}

// remembered reports whether c is in the queue of windows.
func (c *call) remembered() bool { return c.recorded() && c.dedup || c.mark.set }

// clear lets go of all that c holds.
func (m *Machine) clear(c *call) {
	m.release(c)
	c.unmark()
	c.history.drop(c)
	m.tidy(c.history)
}

// tidy forgets h if there is nothing left of it.
func (m *Machine) tidy(h *history) {
	if h.open+len(h.leaders)+len(h.unspent)+len(h.spent) == 0 && m.histories[h.key] == h {
		delete(m.histories, h.key)
	}
}

func (h *history) drop(c *call) {
	if len(h.leaders) > 0 && h.leaders[0] == c { // mostly it is the oldest
		h.leaders[0] = nil
		h.leaders = h.leaders[1:]
		return
	}
	if i := slices.Index(h.leaders, c); i >= 0 {
		h.leaders = slices.Delete(h.leaders, i, i+1)
	}
}

// leaveMark notes that c's answer is being written to a first send.
func (m *Machine) leaveMark(now moment, c *call, denied bool) {
	c.mark = mark{stamp: stamp{set: true, denied: denied, unissued: denied && !m.ours(c.token), passed: c.mark.passed, at: now}, owner: c, by: m.callerOf(c)}
	m.list(&c.mark)
	if !c.recorded() || !c.dedup {
		m.remember(now, c)
	}
}

// ours reports whether a token was seen being given out.
func (m *Machine) ours(token Token) bool {
	l := m.logins[token]
	return l != nil && l.ours
}

func (c *call) unmark() {
	if !c.mark.set {
		return
	}
	h := c.history
	if c.mark.spent {
		h.spent = without(h.spent, c.slot)
	} else {
		h.unspent = without(h.unspent, c.slot)
		c.mark.by.in.unlist(c.slot)
	}
	c.mark.set = false
}

// giveBack undoes what c spent: a re-send's answer could not be delivered.
func (m *Machine) giveBack(c *call) {
	if mk := c.spentMark; mk.set && mk.spent {
		h := mk.owner.history
		h.spent = without(h.spent, mk.owner.slot)
		mk.spent = false
		m.list(mk)
	}
	if l := c.spentLogin; l.lent || l.token == c.token { // else it has paid for its own meanwhile
		l.lent = false
		l.reopen()
	}
}

// list puts mk among the unspent marks, those of its key and those that explain
// a login of its app.
func (m *Machine) list(mk *mark) {
	s, h := m.slotOf(mk.owner), mk.owner.history
	h.unspent = m.insert(h.unspent, s)
	if a := mk.by.in; a != nil {
		a.unspent = m.insert(a.unspent, s)
		if mk.denied {
			a.refused = m.insert(a.refused, s)
		}
	}
}

// unlist takes the mark of the call in s off the lists of those that explain a
// login to a.
func (a *app) unlist(s slot) {
	if a != nil {
		a.unspent = without(a.unspent, s)
		a.refused = without(a.refused, s)
	}
}

// insert puts the mark of the call in s into marks, behind those that are not
// younger. Mostly it is the youngest.
func (m *Machine) insert(marks []slot, s slot) []slot {
	at := m.markIn(s).at
	i := len(marks)
	for i > 0 && m.markIn(marks[i-1]).at > at {
		i--
	}
	return slices.Insert(marks, i, s)
}

// without takes the mark of the call in s out of marks. It is either the oldest,
// whose window ends, or one of the youngest, which is spent.
func without(marks []slot, s slot) []slot {
	if len(marks) > 0 && marks[0] == s {
		return marks[1:]
	}
	for i := len(marks) - 1; i >= 0; i-- {
		if marks[i] == s {
			return slices.Delete(marks, i, i+1)
		}
	}
	return marks
}
