package dedup

import (
	"slices"

	"powerjob-shim/rules/dedup/archive"
	"powerjob-shim/rules/openapi"
)

// The guard of plain matches: which things calls change, and whether one was changed
// since a call was sent. An answer serves a plain match only while nobody else
// changed what its call changed.

// Two subjects stand for a group as a whole; no real one has these keys.
var (
	// everything is changed by calls whose subject cannot be read, and watched by all.
	everything = openapi.Subject{ID: 1}
	// anything is changed by every call, and watched by those whose subject cannot be read.
	anything = openapi.Subject{ID: 2}
)

// watch holds a thing that a call watches.
func (m *Machine) watch(group string, s openapi.Subject) archive.Watch {
	t := m.things.Hold(group, s, func() uint64 { m.seq++; return m.seq })
	return archive.Watch{Thing: t}
}

// unlinkWatches ends what c watches.
func (m *Machine) unlinkWatches(c *call) {
	for _, w := range c.watches {
		m.things.Release(c.group, w.Thing)
	}
	c.watches = nil
}

// watchesOf appends to ws what a call changes and must not see changed.
func (m *Machine) watchesOf(in Call, ws []archive.Watch) []archive.Watch {
	ws = append(ws, m.watch(in.Group, everything), m.watch(in.Group, anything))
	for _, s := range in.Subjects.Known {
		ws = append(ws, m.watch(in.Group, s))
	}
	return ws
}

// raiseAtStart raises the generations of what c is about to change. Of a call
// that nobody knows this is not known: else one that is polled, or does not
// exist, would end every plain match while it is in flight.
func (m *Machine) raiseAtStart(c *call) {
	for i := range c.watches {
		w := &c.watches[i]
		if c.changes(w) && !c.unlisted {
			m.seq++
			w.Thing.Gen = m.seq
			w.Thing.Busy++
		}
		w.Gen = w.Thing.Gen
	}
}

// raiseAtEnd raises them once more; what others raised meanwhile makes c stale.
func (m *Machine) raiseAtEnd(c *call, created []openapi.Subject) {
	for i := range c.watches {
		w := &c.watches[i]
		if !c.changes(w) {
			continue
		}
		c.stale = c.stale || c.minds(w) && w.Gen != w.Thing.Gen
		m.seq++
		w.Thing.Gen = m.seq
		w.Gen = m.seq
		if !c.unlisted {
			w.Thing.Busy--
		}
	}
	for _, s := range created {
		if slices.ContainsFunc(c.watches, func(w archive.Watch) bool { return w.Thing.Is == s }) {
			continue // the request named it too
		}
		w := m.watch(c.group, s)
		w.Gen = w.Thing.Gen
		c.watches = append(c.watches, w)
	}
}

// changes reports whether c changes w's thing: all that it watches, but that
// it changes everything only where it may be anything that it changes.
func (c *call) changes(w *archive.Watch) bool {
	return w.Thing.Is != everything || c.everything
}

// minds reports whether a change of w's thing by another call matters to c:
// anything is watched only where nothing else tells what c changes.
func (c *call) minds(w *archive.Watch) bool {
	return c.unknown || w.Thing.Is != anything
}

// unlinkUncounted ends c's watches that matter to it no more, once it is over.
func (m *Machine) unlinkUncounted(c *call) {
	c.watches = slices.DeleteFunc(c.watches, func(w archive.Watch) bool {
		if c.minds(&w) {
			return false
		}
		m.things.Release(c.group, w.Thing)
		return true
	})
}

// busyWith counts the changes of t in flight that are h's own.
func (m *Machine) busyWith(h *history, t *archive.Thing) (own int32) {
	for _, c := range few(m, h.leaders.Backward(end)) {
		if c.phase == leading && !c.unlisted && slices.ContainsFunc(c.watches, func(w archive.Watch) bool { return w.Thing == t && c.changes(&w) }) {
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
		if !c.minds(w) {
			continue
		}
		if w.Gen != w.Thing.Gen || w.Thing.Busy > 0 && w.Thing.Busy > m.busyWith(c.history, w.Thing) {
			return false
		}
	}
	return true
}
