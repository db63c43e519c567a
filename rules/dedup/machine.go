package dedup

import (
	"cmp"
	"time"
)

// Arrive takes in a call and decides what becomes of it.
func (m *Machine) Arrive(t time.Time, in Call) Ruling {
	now := m.expireDue(t)
	if m.Full() {
		return Ruling{Verdict: Refuse}
	}
	r := m.loginOf(now, in)
	d := m.decide(now, in, r)
	if r != nil && !r.used {
		r.used, r.usedAt = true, now
		d.Refreshed = r.refresh && !r.agent.Foreign()
	}
	return d
}

// Full reports whether a call would be refused on arrival: too many are in flight.
func (m *Machine) Full() bool { return len(m.calls) >= m.limits.InFlight }

// LeaseEnds returns when a call in flight counts as Lost if its Finish has not come; for
// any other call a time in the past.
func (m *Machine) LeaseEnds(id ID) time.Time {
	if c := m.calls[id]; c != nil {
		return m.epoch.Add(time.Duration(c.lease))
	}
	return m.epoch
}

// decide asks the rules. r is the record of the call's token; nil if it has none.
func (m *Machine) decide(now moment, in Call, r *login) Ruling {
	c := m.admit(now, in)
	if in.Dedup {
		if leader := m.retryOf(c); leader != nil {
			c.resend = leader.repay(c.by.asDeserter())
			return m.follow(now, c, leader, Retry, in.Observe)
		}
	}
	if k := m.evidence(c, r); k.grounds != noGrounds {
		first := m.spend(c, r, &k)
		leader := cmp.Or(first.leader, first)
		switch {
		case first.mark.denied:
			return m.lead(c, AfterFalse)
		case in.Dedup && leader.recorded() && m.mayHave(c, leader):
			return m.follow(now, c, leader, Resend, in.Observe)
		default: // a read, or an answer that is not kept
			return m.lead(c, Resend)
		}
	}
	if in.Dedup {
		orphan := m.orphaned(c.history, r)
		if other := m.otherHalf(c, r, orphan); other != nil {
			m.join(c, other, r)
			return m.follow(now, c, other, Overtaken, in.Observe)
		}
		if orphan {
			c.orphan = r
			return m.lead(c, First)
		}
		if in.Body {
			if leader := m.equalBody(c); leader != nil {
				return m.follow(now, c, leader, EqualBody, in.Observe)
			}
		}
	}
	return m.lead(c, First)
}

// Resume decides for a call that was told to Wait, once its leader ended.
// It returns Wait again while the leader is in flight.
func (m *Machine) Resume(t time.Time, id ID) Ruling {
	now := m.expireDue(t)
	c := m.calls[id]
	if c == nil || c.phase != waiting {
		return Ruling{Verdict: Fail, Outcome: Lost}
	}
	reason, leader := c.reason, c.leader
	switch {
	case leader.phase == leading:
		return Ruling{Verdict: Wait, Reason: reason, Leader: leader.id}
	case leader.outcome == NotSent || leader.outcome == Lost:
		m.forgetArrival(c)
		return Ruling{Verdict: Fail, Reason: reason, Outcome: leader.outcome, Waited: true}
	case leader.outcome != Denied && leader.answer != nil && m.mayHave(c, leader):
		d := m.deliver(now, c)
		d.Waited = true
		return d
	}
	c.leader, c.reason = nil, First // the leader has no answer for it
	return m.lead(c, reason)
}

// admit makes the call's entry.
func (m *Machine) admit(now moment, in Call) *call {
	c := &call{
		entry: entry{dedup: in.Dedup, body: in.Body}, key: in.Key, id: in.ID, arrival: m.next(), history: m.history(in.Key),
		by:     m.callerOf(caller{peer: peer{in.Addr, in.Agent}, group: in.Group, app: in.App, token: in.Token}),
		window: in.Window, lease: now.add(cmp.Or(max(in.Lease, 0), time.Hour)),
	}
	m.things.Watch(&c.change, in.Group, in.Subjects)
	c.history.open++
	m.calls[c.id] = c
	m.stats.InFlight = len(m.calls)
	m.leases.Add(c.leaseKey(), c)
	return c
}

// history returns what is remembered of a key.
func (m *Machine) history(key Key) *history {
	h := m.histories[key]
	if h == nil {
		h = &history{key: key}
		m.histories[key] = h
		if o, ok := m.over.Recall(key); ok {
			m.recalled(h, &o)
		}
	}
	return h
}

// lead makes c a leader: it is about to be sent.
func (m *Machine) lead(c *call, reason Reason) Ruling {
	c.phase = leading
	c.resend = c.resend || reason == Resend || reason == AfterFalse
	if c.dedup {
		c.started = m.next()
		c.history.leaders.Add(c.leaderKey(), c)
	}
	m.things.Sent(&c.change)
	return Ruling{Verdict: Lead, Reason: reason}
}

// follow gives c the answer of leader, now or when it is there.
func (m *Machine) follow(now moment, c, leader *call, reason Reason, observe bool) Ruling {
	c.leader, c.reason = leader, reason
	c.resend = c.resend || reason == Resend || reason == Overtaken
	if observe {
		// The call passes, and uses up what a replay would.
		m.deliver(now, c)
		return Ruling{Verdict: Pass, Reason: reason}
	}
	if leader.phase == leading {
		c.phase = waiting
		return Ruling{Verdict: Wait, Reason: reason, Leader: leader.id}
	}
	return m.deliver(now, c)
}

// deliver hands c the answer of its leader and leaves c's mark.
func (m *Machine) deliver(now moment, c *call) Ruling {
	c.phase = ended
	leader := c.leader
	c.outcome, c.mark.passed = leader.outcome, leader.mark.passed
	if !c.resend && (leader.answer == nil || leader.answer.Status == 200) {
		m.leaveMark(now, c, false)
	}
	return Ruling{Verdict: Replay, Reason: c.reason, Answer: leader.answer}
}

// mayHave reports whether c may get leader's answer. Where the upstream checks tokens, the answer
// is for the token that earned it, and for tokens that were issued to the same app of the group.
func (m *Machine) mayHave(c, leader *call) bool {
	if leader.answer == nil || leader.answer.Auth == "" || c.by.token == leader.by.token {
		return true
	}
	l := m.seen(c.by.token)
	return l.issued && l.app.key == appKey{leader.by.group, leader.by.app}
}
