package dedup

import (
	"powerjob-shim/internal/ordered"
	"powerjob-shim/rules/access"
)

// mark notes that an answer was written to a first send, so that the client may send
// that call once more.
type mark struct {
	set      bool
	spent    bool
	denied   bool // the answer said false: the re-send is a first execution
	unissued bool // only with denied: the refused token was never seen issued here
	passed   bool // the answer's header said true
	at       moment

	// Once it is spent:
	spentBy uint64       // the arrival of the call that spent it
	paidBy  access.Token // the token of the login that paid
}

// provokes reports whether the answer that left mk can have made l's client log
// in. Only the Java client looks the header up in its exact case, which a hop may change
// after the answer went out with it. Many other clients log in once for each client
// object, which is no sign of anything.
func (mk *mark) provokes(l *login) bool { return !mk.passed || !l.agent.Foreign() }

// leaveMark notes that c's answer is being written to a first send.
func (m *Machine) leaveMark(now moment, c *call, denied bool) {
	c.by = m.callerOf(*c.by)
	c.mark = mark{set: true, denied: denied, unissued: denied && !m.seen(c.by.token).ours, passed: c.mark.passed, at: now}
	c.linkMark()
	if !c.recorded() || !c.dedup {
		m.remember(now, c)
	}
}

func (c *call) forgetMark() {
	if c.mark.set {
		c.unlinkMark()
		c.mark.set = false
	}
}

// setSpent spends c's mark, or gives it back.
func (c *call) setSpent(spent bool) {
	c.unlinkMark()
	c.mark.spent = spent
	c.linkMark()
}

// linkMark lists c among its key's calls with marks and, if its token was refused, among
// the calls that explain a login of its app.
func (c *call) linkMark() {
	c.withMarks().Add(c.markKey(), c)
	if refused := c.by.in.refusedLike(&c.mark); refused != nil {
		refused.Add(c.markKey(), c.by)
	}
}

// unlinkMark undoes linkMark.
func (c *call) unlinkMark() {
	c.withMarks().Remove(c.markKey())
	if refused := c.by.in.refusedLike(&c.mark); refused != nil {
		refused.Remove(c.markKey())
	}
}

// withMarks is the list of c's key that has c if c has a mark.
func (c *call) withMarks() *ordered.List[*call] {
	if c.mark.spent {
		return &c.history.spent
	}
	return &c.history.unspent
}
