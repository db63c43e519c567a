package dedup

import "slices"

// retryOf finds the newest equal call whose caller hung up before it had its
// answer and that this caller is: the same token, or without tokens the same
// trusted address.
func (h *history) retryOf(c *call) (*call, lost, bool) {
	if !h.owes {
		return nil, lost{}, false
	}
	h.owes = false
	for _, leader := range slices.Backward(h.leaders) {
		h.owes = h.owes || len(leader.lost) > 0
		for _, l := range leader.lost {
			if l.token == c.token && (c.token != Token{} || c.peer.addr.IsValid() && l.addr == c.peer.addr) {
				return leader, l, true
			}
		}
	}
	return nil, lost{}, false
}

// owe notes that a caller who was to have c's answer hung up.
func (c *call) owe(l lost) {
	if l.token != (Token{}) || l.addr.IsValid() { // nothing else would be known again
		c.lost = append(c.lost, l)
		c.history.owes = true
	}
}

// forgive takes back one owe.
func (c *call) forgive(l lost) {
	if i := slices.Index(c.lost, l); i >= 0 {
		c.lost = slices.Delete(c.lost, i, i+1)
	}
}

// asLost is how c is remembered when its caller hangs up.
func (c *call) asLost() lost { return lost{token: c.token, addr: c.peer.addr, resend: c.resend} }
