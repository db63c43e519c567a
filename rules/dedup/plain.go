package dedup

import (
	"slices"

	"powerjob-shim/rules/openapi"
)

// subject is a job, workflow, node or instance that a remembered call changes.
// gen is raised when a change on it is sent, and again when that ends.
type subject struct {
	key   subjectKey
	gen   uint64
	users int     // watches that point here; none left: forgotten
	busy  []*call // changes on it that are in flight

	first [1]*call // where busy begins
}

// watch is a subject as a call saw it last.
type watch struct {
	subject *subject
	gen     uint64
	changes bool // the call changes it; else it only must not have been changed
}

// Two subjects stand for a group as a whole; no real one has these keys.
var (
	// everything is changed by calls whose subject cannot be read, and watched by all.
	everything = openapi.Subject{ID: 1}
	// anything is changed by every call, and watched by those whose subject cannot be read.
	anything = openapi.Subject{ID: 2}
)

func (m *Machine) subject(group string, s openapi.Subject) *subject {
	k := subjectKey{group, s}
	sub := m.subjects[k]
	if sub == nil {
		m.seq++
		sub = &subject{key: k, gen: m.seq}
		sub.busy = sub.first[:0]
		m.subjects[k] = sub
	}
	sub.users++
	return sub
}

func (m *Machine) release(s *subject) {
	if s.users--; s.users == 0 {
		delete(m.subjects, s.key)
	}
}

// watchesOf appends to ws what a call changes and must not see changed.
func (m *Machine) watchesOf(in Call, ws []watch) []watch {
	unknown := in.Subjects.Unknown
	ws = append(ws,
		watch{subject: m.subject(in.Group, everything), changes: unknown},
		watch{subject: m.subject(in.Group, anything), changes: true})
	for _, s := range in.Subjects.Known {
		ws = append(ws, watch{subject: m.subject(in.Group, s), changes: true})
	}
	return ws
}

// raiseAtStart raises the generations of what c is about to change.
func (m *Machine) raiseAtStart(c *call) {
	for i := range c.watches {
		w := &c.watches[i]
		if w.changes {
			m.seq++
			w.subject.gen = m.seq
			w.subject.busy = append(w.subject.busy, c)
		}
		w.gen = w.subject.gen
	}
}

// raiseAtEnd raises them once more; what others raised meanwhile makes c stale.
func (m *Machine) raiseAtEnd(c *call, created []openapi.Subject) {
	for i := range c.watches {
		w := &c.watches[i]
		if !w.changes {
			continue
		}
		c.stale = c.stale || w.counts(c) && w.gen != w.subject.gen
		m.seq++
		w.subject.gen = m.seq
		w.gen = m.seq
		if i := slices.Index(w.subject.busy, c); i >= 0 {
			w.subject.busy = slices.Delete(w.subject.busy, i, i+1)
		}
	}
	for _, s := range created {
		if slices.ContainsFunc(c.watches, func(w watch) bool { return w.subject.key.Subject == s }) {
			continue // the request named it too
		}
		sub := m.subject(c.group, s)
		c.watches = append(c.watches, watch{subject: sub, gen: sub.gen, changes: true})
	}
}

// counts reports whether a change of w's subject by another call matters to c:
// anything is watched only where nothing else tells what c changes.
func (w *watch) counts(c *call) bool {
	return c.unknown || w.subject.key.Subject != anything
}

// plainMatch finds an equal call that c is one with by the operator's choice:
// nothing else changed, or is just changing, what they both change.
func (m *Machine) plainMatch(c *call) *call {
	for _, leader := range slices.Backward(c.history.leaders) {
		if !leader.body || leader.stale || leader.phase != leading && !leader.recorded() {
			continue
		}
		if leader.untouched() && m.mayHave(c, leader) {
			return leader
		}
	}
	return nil
}

func (c *call) untouched() bool {
	for i := range c.watches {
		w := &c.watches[i]
		if !w.counts(c) {
			continue
		}
		if w.gen != w.subject.gen {
			return false
		}
		for _, other := range w.subject.busy {
			if other.history != c.history {
				return false
			}
		}
	}
	return true
}
