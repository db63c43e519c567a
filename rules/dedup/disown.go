package dedup

import "slices"

// Disown forgets all evidence: no login that was seen explains a call, no
// answer is waited for again. It is for a record that has learnt that calls were
// made of which it did not know in time: what was left over may be theirs, and
// must not make another call a repetition. Answers stay on record.
func (m *Machine) Disown() {
	for _, a := range m.apps {
		for _, l := range a.open {
			l.open = false
		}
		clear(a.open)
		a.open = a.open[:0]
	}
	for _, h := range m.histories {
		for _, s := range slices.Concat(h.unspent, h.spent) {
			if c := m.live[s]; c != nil {
				c.unmark()
			} else {
				m.unmarkPacked(s)
			}
		}
	}
	for _, s := range m.packed {
		m.unmarkPacked(s)
	}
}
