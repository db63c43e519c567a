package dedup

import (
	"iter"

	"powerjob-shim/internal/ordered"
	"powerjob-shim/rules/dedup/archive"
)

// Most calls are over within milliseconds and remembered for seconds. Once nothing is
// in flight of a key, and one call of it is left that owes nothing to anybody, that
// call goes to the archive. The next call with the key recalls it. Reads, of which
// only marks are kept, go there one by one, however many of a key there are, and come
// back when their mark is spent. No decision depends on where a call is.

// over is what the archive keeps for the rules of a call that is over.
type over struct {
	entry
	stamp stamp
	paid  payment
}

// Mark implements archive.Facts.
func (o over) Mark() (at int64, open bool) { return int64(o.stamp.at), o.stamp.set && !o.stamp.spent }

// Returns implements archive.Facts.
func (o over) Returns() bool { return o.dedup || o.stamp.set && o.stamp.spent }

// settle puts h's only call into the archive if nothing of h is in flight.
func (m *Machine) settle(h *history) {
	c := h.only()
	if c == nil && h.open+h.leaders.Len()+h.unspent.Len()+h.spent.Len() > 0 {
		return
	}
	if c != nil && (m.over.Count(h.key) > 0 || !m.put(c)) {
		return
	}
	if m.histories[h.key] == h {
		delete(m.histories, h.key)
	}
}

// only returns the only call of h, nil while there are others or any is in flight.
func (h *history) only() (c *call) {
	if h.open > 0 || h.leaders.Len() > 1 || h.unspent.Len()+h.spent.Len() > 1 {
		return nil
	}
	for _, marks := range [...]*ordered.List[*mark]{&h.unspent, &h.spent} {
		if marks.Len() > 0 {
			c = marks.First().owner
		}
	}
	if h.leaders.Len() > 0 {
		leader := h.leaders.First()
		if c != nil && c != leader {
			return nil
		}
		c = leader
	}
	return c
}

// put puts c, which is over, into the archive, unless it owes something.
func (m *Machine) put(c *call) bool {
	if c.leader != nil || len(c.deserters) > 0 || c.orphan != nil {
		return false
	}
	if !c.body || !c.recorded() || c.stale { // no plain match looks at what it watches
		m.unlinkWatches(c)
	}
	m.unlinkUncounted(c)
	if len(c.watches) > archive.MaxWatches {
		return false
	}
	if c.mark.by == nil {
		c.mark.by = m.callerOf(c)
	}
	o := archive.Call[over, *caller]{
		Key: c.key, Arrival: c.arrival, Ends: int64(c.ends), By: c.mark.by,
		Facts: over{c.entry, c.mark.stamp, c.mark.paid},
	}
	copy(o.Watches[:], c.watches)
	if c.recorded() {
		o.Answer = c.answer
	}
	if !m.over.Put(o) {
		return false
	}
	h := c.history
	h.unlinkLeader(c)
	h.unspent.Remove(c.mark.key())
	h.spent.Remove(c.mark.key())
	m.expiries.Remove(c.endKey())
	m.stats.Bytes -= callBytes
	return true
}

// recalled makes a call of what the archive kept of it.
func (m *Machine) recalled(h *history, o *archive.Call[over, *caller]) *call {
	c := &call{
		entry: o.Facts.entry, key: o.Key, arrival: o.Arrival, phase: answered, ends: moment(o.Ends), answer: o.Answer,
		history: h, group: o.By.group, app: o.By.app, token: o.By.token, peer: o.By.peer,
	}
	c.mark = mark{stamp: o.Facts.stamp, owner: c, by: o.By, paid: o.Facts.paid}
	switch {
	case !c.mark.set:
	case c.mark.spent:
		h.spent.Add(c.mark.key(), &c.mark)
	default:
		h.unspent.Add(c.mark.key(), &c.mark)
	}
	if c.dedup && c.answer != nil {
		c.started = c.arrival // all others were sent later
		h.leaders.Add(c.leaderKey(), c)
	}
	for i, w := range o.Watches {
		if w.Thing != nil {
			c.watches = append(c.first[:i], w)
		}
	}
	m.expiries.Add(c.endKey(), c)
	m.stats.Bytes += callBytes
	return c
}

// recall returns the mark of a claim for its call to be followed and spent.
func (m *Machine) recall(h *history, k *claim) *mark {
	if k.mark.owner != nil {
		return &k.mark.owner.mark
	}
	o := m.over.RecallMark(h.key, k.key)
	return &m.recalled(h, &o).mark
}

// unspent yields the unspent marks of h that are before a key, the latest first.
// Those of calls in the archive have no owner.
func (m *Machine) unspent(h *history, before ordered.Key) iter.Seq2[ordered.Key, mark] {
	return func(yield func(ordered.Key, mark) bool) {
		archived := func(from ordered.Key) bool {
			for at, o := range m.over.Marks(h.key, from, before) {
				if !yield(at, mark{stamp: o.Facts.stamp, by: o.By, paid: o.Facts.paid}) {
					return false
				}
			}
			return true
		}
		for at, mk := range h.unspent.Backward(before) {
			if !archived(at) || !yield(at, *mk) {
				return
			}
			before = at
		}
		archived(ordered.Key{})
	}
}

// expireArchived forgets the call whose window ends first of those in the archive.
func (m *Machine) expireArchived() {
	o := m.over.Expire()
	m.stats.Entries--
	m.stats.Bytes -= entryBytes
	if o.Facts.dedup {
		m.stats.Bytes -= o.Bytes
	}
	if at, open := o.Facts.Mark(); open {
		if refused := o.By.in.refusedLike(&o.Facts.stamp); refused != nil {
			refused.Remove(ordered.Key{At: at, N: o.Arrival})
		}
	}
	for _, w := range o.Watches {
		if w.Thing != nil {
			m.things.Release(o.By.group, w.Thing)
		}
	}
	if h := m.histories[o.Key]; h != nil {
		m.settle(h)
	}
}

// callerOf returns whose call c is: the one that the token's last call had, if
// it is the same.
func (m *Machine) callerOf(c *call) *caller {
	by := caller{group: c.group, app: c.app, token: c.token, lineage: c.token, peer: c.peer, in: m.apps[appKey{c.group, c.app}]}
	last := &m.nobody
	if l := m.logins[c.token]; l != nil {
		by.lineage = l.lineage
		last = &l.caller
	}
	if *last == nil || **last != by {
		*last = new(caller)
		**last = by
	}
	return *last
}
