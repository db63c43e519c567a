package dedup

// plainMatch finds an equal call that c is one with by the operator's choice:
// nothing else changed, or is just changing, what they both change.
func (m *Machine) plainMatch(c *call) *call {
	for _, leader := range few(m, c.history.leaders.Backward(end)) {
		if !leader.body || leader.stale || leader.phase != leading && !leader.recorded() {
			continue
		}
		if m.untouched(leader) && m.mayHave(c, leader) {
			return leader
		}
	}
	return nil
}
