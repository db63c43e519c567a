package dedup

import (
	"net/netip"

	"powerjob-shim/rules/access"
)

// deserter is a caller that hung up, as it is known again: by its token, or without
// tokens by its trusted address.
type deserter struct {
	token access.Token
	addr  netip.Addr // valid only where there is no token
}

func (c *call) asDeserter() deserter {
	if c.token != (access.Token{}) {
		return deserter{token: c.token}
	}
	return deserter{addr: c.peer.addr}
}

// deserters are the callers that hung up before they had a call's answer. Each has
// one entry for each call it deserted, which says whether that was a re-send, so that
// its retry leaves no mark either.
type deserters map[deserter][]bool

// retryOf finds the newest equal call whose caller hung up before it had its
// answer and that this caller is.
func (m *Machine) retryOf(c *call) *call {
	h := c.history
	if !h.deserted {
		return nil
	}
	h.deserted = false
	for _, leader := range few(m, h.leaders.Backward(end)) {
		h.deserted = h.deserted || len(leader.deserters) > 0
		if len(leader.deserters[c.asDeserter()]) > 0 {
			return leader
		}
	}
	return nil
}

// owe notes that a caller that was to have c's answer hung up.
func (c *call) owe(to deserter, resend bool) {
	if to == (deserter{}) { // nothing would be known again
		return
	}
	if c.deserters == nil {
		c.deserters = deserters{}
	}
	c.deserters[to] = append(c.deserters[to], resend)
	c.history.deserted = true
}

// repay takes back the oldest debt to a caller, and returns whether its call was a
// re-send.
func (c *call) repay(to deserter) (resend bool) {
	all := c.deserters[to]
	resend = all[0]
	if len(all) == 1 {
		delete(c.deserters, to)
	} else {
		c.deserters[to] = all[1:]
	}
	return resend
}
