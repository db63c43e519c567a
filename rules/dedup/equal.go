package dedup

import (
	"iter"

	"powerjob-shim/internal/ordered"
	"powerjob-shim/rules/guard"
)

// equalBody finds an equal call that c is one with by the operator's choice:
// nothing else changed, or is just changing, what they both change.
func (m *Machine) equalBody(c *call) *call {
	return m.newest(&c.history.leaders, func(x *call) bool {
		return x.body && (x.phase == leading || x.recorded()) && x.change.Untouched(m.inFlight(c.history)) && m.mayHave(c, x)
	})
}

// inFlight yields what the calls of h in flight change.
func (m *Machine) inFlight(h *history) iter.Seq[*guard.Change] {
	return func(yield func(*guard.Change) bool) {
		for _, c := range few(m, h.leaders.Backward(ordered.Last)) {
			if c.phase == leading && !yield(&c.change) {
				return
			}
		}
	}
}
