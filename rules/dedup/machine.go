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

// Full reports whether a call that arrives is refused: too many are in flight.
func (m *Machine) Full() bool { return len(m.calls) >= m.limits.InFlight }

// LeaseEnds returns when a call counts as Lost whose Finish has not come; a time that
// is over for one that is not in flight.
func (m *Machine) LeaseEnds(id ID) time.Time {
	if c := m.calls[id]; c != nil {
		return m.epoch.Add(time.Duration(c.lease))
	}
	return m.epoch
}

func (m *Machine) decide(now moment, in Call, r *login) Ruling {
	c := m.admit(now, in)
	h := c.history

	if in.Dedup {
		if leader := m.retryOf(c); leader != nil {
			c.resend = leader.repay(c.asDeserter())
			return m.follow(now, c, leader, Retry, in.Observe)
		}
	}
	if k := m.evidence(c, r); k.grounds != noGrounds {
		mk := m.spend(c, r, &k)
		leader := mk.owner.source()
		switch {
		case mk.denied:
			return m.lead(c, AfterFalse)
		case in.Dedup && leader.recorded() && m.mayHave(c, leader):
			return m.follow(now, c, leader, Resend, in.Observe)
		default: // a read, or an answer that is not kept
			return m.lead(c, Resend)
		}
	}
	if in.Dedup {
		orphan := m.orphaned(h, r)
		if other := m.otherHalf(c, r, orphan); other != nil {
			c.spentLogin, other.orphan = cmp.Or(other.orphan, r), nil
			m.close(c.spentLogin)
			other.becomeResend() // its answer is owed to nobody else
			return m.follow(now, c, other, Overtaken, in.Observe)
		}
		if orphan {
			c.orphan = r
			return m.lead(c, First)
		}
		if in.Body {
			if leader := m.plainMatch(c); leader != nil {
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
	leader := c.leader
	if leader.phase == leading {
		return Ruling{Verdict: Wait, Reason: c.reason, Leader: leader.id}
	}
	switch leader.outcome {
	case NotSent, Lost:
		m.forgetArrival(c)
		return Ruling{Verdict: Fail, Reason: c.reason, Outcome: leader.outcome, Waited: true}
	case Denied:
	default:
		if leader.answer != nil && m.mayHave(c, leader) {
			d := m.deliver(now, c)
			d.Waited = true
			return d
		}
	}
	// Nothing to be had from the leader: this call goes on its own way.
	reason := c.reason
	c.leader, c.reason = nil, First
	d := m.start(c)
	d.Reason = reason
	return d
}

// admit makes the call's entry.
func (m *Machine) admit(now moment, in Call) *call {
	h := m.history(in.Key)
	m.seq++
	c := &call{
		entry: entry{dedup: in.Dedup, body: in.Body}, key: in.Key, arrival: m.seq,
		id: in.ID, history: h, group: in.Group, app: in.App, token: in.Token, peer: peer{in.Addr, in.Agent}, window: in.Window,
	}
	c.mark.owner = c
	if s := in.Subjects; s.Unknown || s.Creates || len(s.Known) > 0 {
		c.unknown, c.creates, c.everything, c.unlisted = s.Unknown, s.Creates, s.Unknown, s.Unlisted
		c.watches = m.watchesOf(in, c.first[:0])
	}
	lease := in.Lease
	if lease <= 0 {
		lease = time.Hour
	}
	h.open++
	m.calls[c.id] = c
	m.stats.InFlight = len(m.calls)
	c.lease = now.add(lease)
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

func (m *Machine) lead(c *call, reason Reason) Ruling {
	c.resend = c.resend || reason == Resend || reason == AfterFalse
	d := m.start(c)
	d.Reason = reason
	return d
}

// start makes c a leader: it is about to be sent.
func (m *Machine) start(c *call) Ruling {
	c.phase = leading
	if c.dedup {
		m.seq++
		c.started = m.seq
		c.history.leaders.Add(c.leaderKey(), c)
	}
	m.raiseAtStart(c)
	return Ruling{Verdict: Lead}
}

// follow gives c the answer of leader, now or when it is there.
func (m *Machine) follow(now moment, c, leader *call, reason Reason, observe bool) Ruling {
	c.leader, c.reason = leader, reason
	c.resend = c.resend || reason == Resend || reason == Overtaken
	if observe {
		// It passes, and what it would have used up is used up.
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
	c.phase = answered
	leader := c.leader
	c.outcome, c.mark.passed = leader.outcome, leader.mark.passed
	if !c.resend && (leader.answer == nil || leader.answer.Status == 200) {
		m.leaveMark(now, c, false)
	}
	return Ruling{Verdict: Replay, Reason: c.reason, Answer: leader.answer}
}

// source is the call whose answer c had: its own, or its leader's.
func (c *call) source() *call {
	if c.leader != nil {
		return c.leader
	}
	return c
}

// mayHave reports whether c may get leader's answer. Where the upstream checks
// tokens, an answer belongs to the token that earned it and to those that were
// issued to the same app.
func (m *Machine) mayHave(c, leader *call) bool {
	if leader.answer == nil || leader.answer.Auth == "" || c.token == leader.token {
		return true
	}
	l := m.logins[c.token]
	return l != nil && l.issued && l.app.key.id == leader.app
}
