package dedup

import (
	"cmp"
	"time"

	"powerjob-shim/rules/access"
)

// Finish takes in how a leader's forwarding ended. It must come before the answer is written to
// the caller. A call that is not leading is ignored: its lease ended, and it counts as Lost.
func (m *Machine) Finish(t time.Time, id ID, out Outcome) {
	now := m.expireDue(t)
	if c := m.calls[id]; c != nil && c.phase == leading {
		m.finish(now, c, out)
	}
}

func (m *Machine) finish(now moment, c *call, out Outcome) {
	c.phase, c.outcome, c.answer, c.mark.passed = ended, out.Kind, out.Answer, out.Passed
	m.things.Ended(&c.change, out.mayHaveChanged(), out.Kind == Kept, out.Created)
	kept := c.dedup && out.Kind == Kept
	if !kept {
		c.history.leaders.Remove(c.leaderKey())
	}
	repeatable := kept || out.Kind == Denied && c.by.token != (access.Token{}) || out.Kind == Answered && out.Status == 200
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
	if c.repeats != nil && (c.leader != nil || !c.dedup) {
		m.giveBack(c)
	} else { // the retry is known by its token, or without one by its address
		cmp.Or(c.leader, c).owe(c.by.asDeserter(), c.resend)
	}
	if c.phase != leading {
		m.forgetArrival(c)
	}
}

// giveBack undoes what c spent: a re-send's answer could not be delivered.
func (m *Machine) giveBack(c *call) {
	if first := c.repeats; first.mark.set && first.mark.spent {
		first.setSpent(false)
	}
	if l := c.spentLogin; l.paidForAnother || l.token == c.by.token { // else it has paid for its own meanwhile
		l.paidForAnother = false
		m.reopen(l)
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
	switch {
	case !c.mark.set && !(c.recorded() && c.dedup):
		m.forgetCall(c)
	case !c.dedup && c.mark.set && !c.mark.spent: // it is remembered for its mark alone, as a read is
		m.put(c)
	}
	m.settle(c.history)
}

// forgetCall forgets all that c holds.
func (m *Machine) forgetCall(c *call) {
	m.things.Forget(&c.change)
	c.forgetMark()
	c.history.leaders.Remove(c.leaderKey())
}
