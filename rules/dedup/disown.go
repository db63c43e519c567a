package dedup

import "powerjob-shim/internal/ordered"

// Disown forgets all evidence: the logins and marks so far explain no call any more.
// It is for a record that learns too late that calls were made: the evidence left
// over may belong to those, and must not make another call a repetition. Answers stay
// on record.
func (m *Machine) Disown() {
	for m.opens.Len() > 0 {
		m.close(m.opens.Pop())
	}
	for _, h := range m.histories {
		for _, marks := range [...]*ordered.List[*call]{&h.unspent, &h.spent} {
			for marks.Len() > 0 {
				marks.Pop().forgetMark()
			}
		}
	}
	m.over.ForgetMarks(func(o *over) { o.mark.set = false })
	for _, a := range m.apps {
		a.refused, a.strangers = ordered.List[*caller]{}, ordered.List[*caller]{}
	}
}
