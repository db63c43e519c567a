package dedup

import (
	"powerjob-shim/internal/ordered"
	"powerjob-shim/rules/guard"
)

// equalBody finds an equal call that counts as one with c by the operator's choice:
// nothing else has changed, or is changing, what both of them change.
func (m *Machine) equalBody(c *call) *call {
	return m.newest(&c.history.leaders, func(x *call) bool {
		return x.body && (x.phase == leading || x.recorded()) && m.untouched(x) && m.mayHave(c, x)
	})
}

// untouched reports whether nothing else has changed, or is changing, what x changes.
func (m *Machine) untouched(x *call) bool {
	return x.change.Untouched(func(yield func(*guard.Change) bool) {
		for _, c := range few(m, x.history.leaders.Backward(ordered.Last)) {
			if c.phase == leading && !yield(&c.change) {
				return
			}
		}
	})
}
