package dedup

import (
	"iter"

	"powerjob-shim/internal/ordered"
	"powerjob-shim/rules/dedup/archive"
	"powerjob-shim/rules/guard"
)

// Most calls are over within milliseconds and remembered for seconds. Once no call of a
// key is in flight, and only one is left, which owes nothing to anybody, it goes to
// the archive. The next call with the key recalls it. Reads, of which only the
// marks are kept, go there one by one, however many a key has, and come back
// when their mark is spent. No decision depends on where a call is.

// over is what the rules have the archive keep of a call.
type over struct {
	entry
	mark   mark
	change guard.Facts
}

// Mark implements archive.Facts.
func (o over) Mark() (at int64, open bool) { return int64(o.mark.at), o.mark.set && !o.mark.spent }

// Returns implements archive.Facts.
func (o over) Returns() bool { return o.dedup || o.mark.set && o.mark.spent }

// settle puts h's only call into the archive if no call of h is in flight.
func (m *Machine) settle(h *history) {
	if h.open > 0 {
		return
	}
	c, several := h.only()
	if several || c != nil && (m.over.Count(h.key) > 0 || !m.put(c)) || m.histories[h.key] != h {
		return
	}
	delete(m.histories, h.key)
}

// only returns the only call that h lists; nil where it lists none, or several.
func (h *history) only() (c *call, several bool) {
	for _, list := range [...]*ordered.List[*call]{&h.leaders, &h.unspent, &h.spent} {
		if list.Len() == 0 {
			continue
		}
		if list.Len() > 1 || c != nil && c != list.First() {
			return nil, true
		}
		c = list.First()
	}
	return c, false
}

// put puts c, which is over, into the archive, unless it owes something.
func (m *Machine) put(c *call) bool {
	if c.leader != nil || len(c.deserters) > 0 || c.orphan != nil {
		return false
	}
	m.things.Settle(&c.change)
	// Only equal_body asks what a call changed: if that cannot match any more, release its things.
	if !c.body || !c.recorded() || c.change.Stale {
		m.things.Forget(&c.change)
	}
	if len(c.change.Watches) > archive.MaxWatches {
		return false
	}
	o := archive.Call[over, *caller]{
		Key: c.key, Arrival: c.arrival, Ends: int64(c.ends), By: c.by, Facts: over{c.entry, c.mark, c.change.Facts},
	}
	copy(o.Watches[:], c.change.Watches)
	if c.recorded() {
		o.Answer = c.answer
	}
	if !m.over.Put(o) {
		return false
	}
	c.history.leaders.Remove(c.leaderKey())
	c.withMarks().Remove(c.markKey())
	m.windows.Remove(c.endKey())
	m.stats.Bytes -= callBytes
	return true
}

// recalled makes a call of what the archive kept of it.
func (m *Machine) recalled(h *history, o *archive.Call[over, *caller]) *call {
	c := &call{
		entry: o.Facts.entry, mark: o.Facts.mark, key: o.Key, arrival: o.Arrival, by: o.By, history: h,
		phase: ended, ends: moment(o.Ends), answer: o.Answer,
	}
	if c.mark.set {
		c.withMarks().Add(c.markKey(), c)
	}
	if c.dedup && c.answer != nil {
		c.started = c.arrival // all others were sent later
		h.leaders.Add(c.leaderKey(), c)
	}
	c.change.Restore(o.Facts.change, o.By.group, o.Watches[:]...)
	m.windows.Add(c.endKey(), c)
	m.stats.Bytes += callBytes
	return c
}

// candidate is an unspent mark, and the call that left it.
type candidate struct {
	mark
	by   *caller
	call *call // nil while it is in the archive
}

// unspent yields the unspent marks of h that are before a key, the latest first.
func (m *Machine) unspent(h *history, until ordered.Key) iter.Seq2[ordered.Key, candidate] {
	return func(yield func(ordered.Key, candidate) bool) {
		archived := func(from ordered.Key) bool {
			for at, o := range m.over.Marks(h.key, from, until) {
				if !yield(at, candidate{mark: o.Facts.mark, by: o.By}) {
					return false
				}
			}
			return true
		}
		for at, c := range h.unspent.Backward(until) {
			if !archived(at) || !yield(at, candidate{c.mark, c.by, c}) {
				return
			}
			until = at
		}
		archived(ordered.Key{})
	}
}
