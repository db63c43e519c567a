package dedup

import (
	"encoding/binary"

	"powerjob-shim/internal/ordered"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/dedup/archive"
)

// Most calls are over within milliseconds and remembered for seconds, so nearly
// all that a store holds is calls that are over, each the only one of its key.
// Such a history is packed: of history, call and answer only a record is left,
// which is a quarter of them, and has no pointer that the garbage collector would
// follow. The next call with that key unpacks it. Reads, of which only marks are
// kept, are packed one by one, however many of a key there are, and unpacked when
// their mark is spent. The rules never see that a call was packed: pack, then
// unpack, makes no difference.

// entry is what stays of a call for as long as it is remembered.
type entry struct {
	key     Key
	arrival uint64 // counts up

	left    bool // its caller hung up before the answer was written in full
	dedup   bool
	body    bool
	resend  bool        // a leader that is a recognised re-send: its answer leaves no mark
	stale   bool        // another change touched its subject between its two ends
	unknown bool        // it changes something that nobody can name
	outcome OutcomeKind // once answered
}

// record is what is left of a packed call. It has no pointers.
type record struct {
	entry
	stamp    stamp // of its mark
	paid     payment
	by       slot        // in Machine.callers
	answer   archive.Ref // in Machine.answers; zero: no answer is kept
	subjects [2]slot     // what the call watches, in Machine.things, all or none
	gens     [2]uint64   // and as it saw them last
}

// caller is whose call one was. The calls of one client share it: never change it.
type caller struct {
	group, app string
	token      access.Token
	lineage    access.Token // of the token, when the call was answered
	peer       peer
	in         *app // which lists the call's mark; nil: none does
}

// prefix is the beginning of a key: a map by whole keys would take twice as much.
type prefix uint32

func (k Key) prefix() prefix { return prefix(binary.BigEndian.Uint32(k[:])) }

// isMark reports whether c, which is over, is remembered for its mark alone, as a
// read is.
func (c *call) isMark() bool { return !c.dedup && c.mark.set && !c.mark.spent }

// pack packs h if nothing of it is in flight and one call is left, which owes
// nothing to anybody.
func (m *Machine) pack(h *history) {
	s := h.only()
	if s == 0 || m.packed[h.key.prefix()] != 0 {
		return
	}
	if c := m.live[s]; c != nil && !m.packCall(c) {
		return
	}
	delete(m.histories, h.key)
	*h = history{key: h.key} // calls that were in it may still lead to it
	m.packed[h.key.prefix()] = s
}

// packCall makes a record of c, which is over, unless it owes something.
func (m *Machine) packCall(c *call) bool {
	if c.leader != nil || len(c.deserters) > 0 || c.orphan != nil {
		return false
	}
	if !c.body || !c.recorded() || c.stale { // no plain match looks at what it watches
		m.unlinkWatches(c)
	}
	m.unlinkUncounted(c)
	r := m.records.At(c.slot)
	if len(c.watches) > len(r.subjects) {
		return false
	}
	r.entry, r.stamp, r.paid = c.entry, c.mark.stamp, c.mark.paid
	if c.mark.by == nil {
		c.mark.by = m.callerOf(c)
	}
	r.by = m.callers.Hold(c.mark.by)
	if a := c.answer; c.recorded() {
		r.answer = m.answers.Put(archive.Answer{Status: a.Status, Header: string(a.Header), Auth: a.Auth, Body: a.Body})
	}
	for i, w := range c.watches {
		r.subjects[i], r.gens[i] = w.subject.slot, w.gen
	}
	delete(m.live, c.slot)
	m.stats.Bytes -= callBytes
	return true
}

// only returns the slot of the only call of h, 0 while there are others or any
// is in flight.
func (h *history) only() slot {
	if h.open > 0 || h.leaders.Len() > 1 || h.unspent.Len()+h.spent.Len() > 1 {
		return 0
	}
	var s slot
	for _, marks := range [...]*ordered.List[slot]{&h.unspent, &h.spent} {
		if marks.Len() > 0 {
			s = marks.First()
		}
	}
	if h.leaders.Len() > 0 {
		leader := h.leaders.First()
		if s != 0 && s != leader.slot {
			return 0
		}
		s = leader.slot
	}
	return s
}

// unpack undoes pack of the call in s.
func (m *Machine) unpack(s slot) *history {
	r := m.records.At(s)
	h := &history{key: r.key}
	switch {
	case !r.stamp.set:
	case r.stamp.spent:
		h.spent.Add(r.markKey(&r.stamp), s)
	default:
		h.unspent.Add(r.markKey(&r.stamp), s)
	}
	delete(m.packed, h.key.prefix())
	m.histories[h.key] = h
	if r.dedup {
		m.unpackCall(h, s)
	}
	return h
}

// unpackCall returns the call of h in s, unpacked if it was packed.
func (m *Machine) unpackCall(h *history, s slot) *call {
	if c := m.live[s]; c != nil {
		return c
	}
	r := m.records.At(s)
	by := m.callers.At(r.by)
	c := &call{entry: r.entry, slot: s, phase: answered, history: h, group: by.group, app: by.app, token: by.token, peer: by.peer}
	c.mark = mark{stamp: r.stamp, owner: c, by: by, paid: r.paid}
	if r.answer != (archive.Ref{}) {
		a := m.answers.Get(r.answer)
		c.answer = &Answer{Status: a.Status, Header: Header(a.Header), Auth: a.Auth, Body: a.Body}
		if c.dedup {
			c.started = c.arrival // all others were sent later
			h.leaders.Add(c.leaderKey(), c)
		}
	}
	for i, subject := range r.subjects {
		if subject != 0 {
			c.watches = append(c.first[:i], watch{m.things.At(subject), r.gens[i]})
		}
	}
	m.forgetRecord(r)
	*r = record{}
	m.live[s] = c
	m.stats.Bytes += callBytes
	return c
}

// markIn returns a copy of the mark of the call in s, packed or not.
func (m *Machine) markIn(s slot) mark {
	if c := m.live[s]; c != nil {
		return c.mark
	}
	r := m.records.At(s)
	return mark{stamp: r.stamp, by: m.callers.At(r.by), paid: r.paid}
}

// expirePacked forgets a packed call.
func (m *Machine) expirePacked(s slot) {
	r := m.records.At(s)
	if r.dedup {
		m.stats.Bytes -= m.answers.Bytes(r.answer)
	}
	by := m.callers.At(r.by)
	for _, subject := range r.subjects {
		if subject != 0 {
			m.unlinkSubject(by.group, m.things.At(subject))
		}
	}
	m.forgetPackedMark(s)
	if m.packed[r.key.prefix()] == s {
		delete(m.packed, r.key.prefix())
	} else if h := m.histories[r.key]; h != nil {
		m.forgetHistory(h)
		m.pack(h)
	}
	m.forgetRecord(r)
	m.records.Remove(s)
}

// forgetPackedMark is forgetMark for a packed call.
func (m *Machine) forgetPackedMark(s slot) {
	r := m.records.At(s)
	if !r.stamp.set {
		return
	}
	key := r.markKey(&r.stamp)
	if !r.stamp.spent {
		m.callers.At(r.by).in.unlink(&r.stamp, key)
	}
	if h := m.histories[r.key]; h != nil {
		h.spent.Remove(key)
		h.unspent.Remove(key)
	}
	r.stamp.set = false
}

// forgetRecord lets go of what r has in common with others, and of its text.
func (m *Machine) forgetRecord(r *record) {
	m.callers.Release(r.by)
	m.answers.Remove(r.answer)
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
