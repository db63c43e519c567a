package dedup

import (
	"powerjob-shim/internal/ordered"
	"powerjob-shim/rules/guard"
)

// equalBody finds an equal call that c is one with by the operator's choice:
// nothing else changed, or is just changing, what they both change.
func (m *Machine) equalBody(c *call) *call {
	inFlight := func(yield func(*guard.Change) bool) { m.inFlight(c.history, yield) }
	return m.newest(&c.history.leaders, func(x *call) bool {
		return x.body && (x.phase == leading || x.recorded()) && x.change.Untouched(inFlight) && m.mayHave(c, x)
	})
}

// inFlight yields what the calls of h in flight change.
func (m *Machine) inFlight(h *history, yield func(*guard.Change) bool) {
	for _, c := range few(m, h.leaders.Backward(ordered.Last)) {
		if c.phase == leading && !yield(&c.change) {
			return
		}
	}
}
