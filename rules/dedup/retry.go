package dedup

import (
	"net/netip"

	"powerjob-shim/rules/access"
)

// deserter is a caller that hung up, by what it is recognised by later: its token or, if
// it has none, its trusted address.
type deserter struct {
	token access.Token
	addr  netip.Addr // valid only where there is no token
}

func (by *caller) asDeserter() deserter {
	if by.token != (access.Token{}) {
		return deserter{token: by.token}
	}
	return deserter{addr: by.addr}
}

// retryOf finds the newest equal call whose answer this caller missed because it hung up.
func (m *Machine) retryOf(c *call) *call {
	if !c.history.deserted {
		return nil
	}
	return m.newest(&c.history.leaders, func(x *call) bool {
		return len(x.deserters[c.by.asDeserter()]) > 0 && m.mayHave(c, x)
	})
}

// owe notes that a caller hung up before it had c's answer.
func (c *call) owe(to deserter, resend bool) {
	if to == (deserter{}) { // it could not be recognised
		return
	}
	if c.deserters == nil {
		c.deserters = map[deserter][]bool{}
	}
	c.deserters[to] = append(c.deserters[to], resend)
	c.history.deserted = true
}

// repay settles the oldest debt to a caller, and returns whether its call was a re-send.
func (c *call) repay(to deserter) (resend bool) {
	all := c.deserters[to]
	if c.deserters[to] = all[1:]; len(all) == 1 {
		delete(c.deserters, to)
	}
	return all[0]
}
