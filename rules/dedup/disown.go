package dedup

import "powerjob-shim/internal/ordered"

// Disown forgets all evidence: no login that was seen explains a call, no
// answer is waited for again. It is for a record that has learnt that calls were
// made of which it did not know in time: what was left over may be theirs, and
// must not make another call a repetition. Answers stay on record.
func (m *Machine) Disown() {
	for m.opens.Len() > 0 {
		m.close(m.opens.Pop())
	}
	for _, h := range m.histories {
		for _, marks := range []*ordered.List[slot]{&h.unspent, &h.spent} {
			for marks.Len() > 0 {
				m.forgetMarkIn(marks.Pop())
			}
		}
	}
	for _, s := range m.packed {
		m.forgetMarkIn(s)
	}
}

// forgetMarkIn forgets the mark of the call in s, packed or not.
func (m *Machine) forgetMarkIn(s slot) {
	if c := m.live[s]; c != nil {
		c.forgetMark()
	} else {
		m.forgetPackedMark(s)
	}
}
