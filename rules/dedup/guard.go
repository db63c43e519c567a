package dedup

import (
	"slices"

	"powerjob-shim/rules/openapi"
)

// The guard of plain matches: which things calls change, and whether one was changed
// since a call was sent. An answer serves a plain match only while nobody else
// changed what its call changed.

// subject is a job, workflow, node or instance that a remembered call changes.
// gen is raised when a change on it is sent, and again when that ends.
type subject struct {
	slot  slot // in Machine.things
	is    openapi.Subject
	gen   uint64
	users int32 // watches that point here; none left: forgotten
	busy  int32 // changes on it that are in flight
}

// watch is a subject as a call saw it last.
type watch struct {
	subject *subject
	gen     uint64
}

// Two subjects stand for a group as a whole; no real one has these keys.
var (
	// everything is changed by calls whose subject cannot be read, and watched by all.
	everything = openapi.Subject{ID: 1}
	// anything is changed by every call, and watched by those whose subject cannot be read.
	anything = openapi.Subject{ID: 2}
)

func (m *Machine) subject(group string, s openapi.Subject) *subject {
	all := m.subjects[group]
	if all == nil {
		all = map[openapi.Subject]slot{}
		m.subjects[group] = all
	}
	n := all[s]
	if n == 0 {
		m.seq++
		n = m.things.Add()
		*m.things.At(n) = subject{slot: n, is: s, gen: m.seq}
		all[s] = n
	}
	sub := m.things.At(n)
	sub.users++
	return sub
}

// unlinkSubject undoes subject.
func (m *Machine) unlinkSubject(group string, s *subject) {
	if s.users--; s.users > 0 {
		return
	}
	all := m.subjects[group]
	if delete(all, s.is); len(all) == 0 {
		delete(m.subjects, group)
	}
	m.things.Remove(s.slot)
}

// unlinkWatches ends what c watches.
func (m *Machine) unlinkWatches(c *call) {
	for _, w := range c.watches {
		m.unlinkSubject(c.group, w.subject)
	}
	c.watches = nil
}

// watchesOf appends to ws what a call changes and must not see changed.
func (m *Machine) watchesOf(in Call, ws []watch) []watch {
	ws = append(ws, watch{subject: m.subject(in.Group, everything)}, watch{subject: m.subject(in.Group, anything)})
	for _, s := range in.Subjects.Known {
		ws = append(ws, watch{subject: m.subject(in.Group, s)})
	}
	return ws
}

// raiseAtStart raises the generations of what c is about to change. Of a call
// that nobody knows this is not known: else one that is polled, or does not
// exist, would end every plain match while it is in flight.
func (m *Machine) raiseAtStart(c *call) {
	for i := range c.watches {
		w := &c.watches[i]
		if w.changed(c) && !c.unlisted {
			m.seq++
			w.subject.gen = m.seq
			w.subject.busy++
		}
		w.gen = w.subject.gen
	}
}

// raiseAtEnd raises them once more; what others raised meanwhile makes c stale.
func (m *Machine) raiseAtEnd(c *call, created []openapi.Subject) {
	for i := range c.watches {
		w := &c.watches[i]
		if !w.changed(c) {
			continue
		}
		c.stale = c.stale || w.counts(c) && w.gen != w.subject.gen
		m.seq++
		w.subject.gen = m.seq
		w.gen = m.seq
		if !c.unlisted {
			w.subject.busy--
		}
	}
	for _, s := range created {
		if slices.ContainsFunc(c.watches, func(w watch) bool { return w.subject.is == s }) {
			continue // the request named it too
		}
		sub := m.subject(c.group, s)
		c.watches = append(c.watches, watch{subject: sub, gen: sub.gen})
	}
}

// changed reports whether c changes w's subject: all that it watches, but that
// it changes everything only where it may be anything that it changes.
func (w *watch) changed(c *call) bool {
	return w.subject.is != everything || c.everything
}

// counts reports whether a change of w's subject by another call matters to c:
// anything is watched only where nothing else tells what c changes.
func (w *watch) counts(c *call) bool {
	return c.unknown || w.subject.is != anything
}

// unlinkUncounted ends c's watches that matter to it no more, once it is over.
func (m *Machine) unlinkUncounted(c *call) {
	c.watches = slices.DeleteFunc(c.watches, func(w watch) bool {
		if w.counts(c) {
			return false
		}
		m.unlinkSubject(c.group, w.subject)
		return true
	})
}

// busyWith counts the changes of s in flight that are h's own.
func (m *Machine) busyWith(h *history, s *subject) (own int32) {
	for _, c := range few(m, h.leaders.Backward(end)) {
		if c.phase == leading && !c.unlisted && slices.ContainsFunc(c.watches, func(w watch) bool { return w.subject == s && w.changed(c) }) {
			own++
		}
	}
	return own
}

// untouched reports whether nobody else changed, or is just changing, what
// matters to c.
func (m *Machine) untouched(c *call) bool {
	for i := range c.watches {
		w := &c.watches[i]
		if !w.counts(c) {
			continue
		}
		if w.gen != w.subject.gen || w.subject.busy > 0 && w.subject.busy > m.busyWith(c.history, w.subject) {
			return false
		}
	}
	return true
}
