package dedup

import "net/netip"

// who is how a caller that hung up is known again: by its token, or without tokens
// by its trusted address.
type who struct {
	token Token
	addr  netip.Addr // valid only where there is no token
}

func (c *call) who() who {
	if c.token != (Token{}) {
		return who{token: c.token}
	}
	return who{addr: c.peer.addr}
}

// debts are the callers who hung up before they had a call's answer. Of each it is
// told whether its call was a re-send, so that its retry leaves no mark either.
type debts map[who][]bool

// retryOf finds the newest equal call whose caller hung up before it had its
// answer and that this caller is.
func (m *Machine) retryOf(c *call) *call {
	h := c.history
	if !h.owes {
		return nil
	}
	h.owes = false
	for _, leader := range few(m, h.leaders.Backward(end)) {
		h.owes = h.owes || len(leader.lost) > 0
		if len(leader.lost[c.who()]) > 0 {
			return leader
		}
	}
	return nil
}

// owe notes that a caller who was to have c's answer hung up.
func (c *call) owe(to who, resend bool) {
	if to == (who{}) { // nothing would be known again
		return
	}
	if c.lost == nil {
		c.lost = debts{}
	}
	c.lost[to] = append(c.lost[to], resend)
	c.history.owes = true
}

// repay takes back the oldest debt to a caller, and returns whether its call was a
// re-send.
func (c *call) repay(to who) (resend bool) {
	all := c.lost[to]
	resend = all[0]
	if len(all) == 1 {
		delete(c.lost, to)
	} else {
		c.lost[to] = all[1:]
	}
	return resend
}
