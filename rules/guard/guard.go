// Package guard tells which things calls change, and whether one was changed since a
// call was sent. The answer of a call may serve an equal one, where nothing but their
// equality tells that they are one call, only while nobody else changed what it changed.
//
//	things.Watch(&c, group, subjects)      // a call arrives
//	things.Sent(&c)                        // it is sent
//	things.Ended(&c, true, kept, created)  // it is answered
//	c.Untouched(equal)                     // and an equal one arrives
//	things.Forget(&c)                      // it is forgotten
//
// Nothing in it is safe for concurrent use.
package guard

import (
	"iter"
	"slices"

	"powerjob-shim/rules/openapi"
)

// Change is what one call changes. It must not be copied once it is watched.
type Change struct {
	Facts
	Watches []Watch

	first      [3]Watch // where Watches begins: most calls change one thing
	group      string
	creates    bool // it makes something whose id only its answer tells
	unreadable bool // what it changes could not be read: it may be anything
	unlisted   bool // nobody knows the call: what it may change, it changes at its end
}

// Facts are what is known of a Change besides its things.
type Facts struct {
	Stale   bool // another call changed its thing between its two ends
	Unknown bool // it changes something that nobody can name
}

// Watch is a thing as a call saw it last.
type Watch struct {
	Thing *Thing
	Gen   uint64
}

// Two subjects are markers of a group as a whole, which each call that changes something
// watches. No real subject has these keys.
var (
	// unreadableChange is changed by calls whose subject cannot be read. It matters to all.
	unreadableChange = openapi.Subject{ID: 1}
	// anyChange is changed by every call. It matters to those whose subject nobody can name.
	anyChange = openapi.Subject{ID: 2}
)

// Watch notes what a call changes and must not see changed.
func (ts *Things) Watch(c *Change, group string, s openapi.Subjects) {
	c.group, c.Unknown, c.creates, c.unreadable, c.unlisted = group, s.Unknown, s.Creates, s.Unknown, s.Unlisted
	if s.Unknown || s.Creates || len(s.Known) > 0 {
		c.Watches = c.first[:0]
		ts.watch(c, unreadableChange, anyChange)
		ts.watch(c, s.Known...)
	}
}

func (ts *Things) watch(c *Change, subjects ...openapi.Subject) {
	for _, is := range subjects {
		t := ts.hold(c.group, is)
		c.Watches = append(c.Watches, Watch{t, t.Gen})
	}
}

// Sent raises the generations of what a call is about to change. Of a call that nobody
// knows this is not known: else one that is polled, or does not exist, would end every
// plain match while it is in flight.
func (ts *Things) Sent(c *Change) {
	for i := range c.Watches {
		w := &c.Watches[i]
		if c.Changes(w) && !c.unlisted {
			ts.raise(w.Thing)
			w.Thing.Busy++
		}
		w.Gen = w.Thing.Gen
	}
}

// Ended raises them once more; what others raised meanwhile makes the call stale. changed
// says that the call may have changed something as far as its end tells, and told that
// its answer names all that it created.
func (ts *Things) Ended(c *Change, changed, told bool, created []openapi.Subject) {
	if c.creates && told && len(created) == 0 {
		c.Unknown = true // something was made, and nobody knows what
	}
	if c.unlisted && !changed {
		return
	}
	for i := range c.Watches {
		w := &c.Watches[i]
		if !c.Changes(w) {
			continue
		}
		c.Stale = c.Stale || c.minds(w) && w.Gen != w.Thing.Gen
		ts.raise(w.Thing)
		w.Gen = w.Thing.Gen
		if !c.unlisted {
			w.Thing.Busy--
		}
	}
	for _, is := range created {
		if !slices.ContainsFunc(c.Watches, func(w Watch) bool { return w.Thing.Is == is }) { // else the request named it too
			ts.watch(c, is)
		}
	}
}

// Changes reports whether a call changes w's thing. A call changes each thing it watches,
// except the marker unreadableChange, which only calls with unreadable subjects change.
func (c *Change) Changes(w *Watch) bool { return w.Thing.Is != unreadableChange || c.unreadable }

// minds reports whether a change of w's thing by another call matters to a call. The marker
// anyChange matters only where nobody can name what the call itself changes.
func (c *Change) minds(w *Watch) bool { return c.Unknown || w.Thing.Is != anyChange }

// Untouched reports whether nobody else changed, or is just changing, what matters to a
// call. equal are the calls in flight that equal it.
func (c *Change) Untouched(equal iter.Seq[*Change]) bool {
	if c.Stale {
		return false
	}
	for i := range c.Watches {
		w := &c.Watches[i]
		if !c.minds(w) {
			continue
		}
		if w.Gen != w.Thing.Gen || w.Thing.Busy > 0 && w.Thing.Busy > changing(w.Thing, equal) {
			return false
		}
	}
	return true
}

// changing counts the calls that are changing a thing.
func changing(t *Thing, calls iter.Seq[*Change]) (n int32) {
	for c := range calls {
		if !c.unlisted && slices.ContainsFunc(c.Watches, func(w Watch) bool { return w.Thing == t && c.Changes(&w) }) {
			n++
		}
	}
	return n
}

// Forget ends what a call watches.
func (ts *Things) Forget(c *Change) {
	ts.Release(c.group, c.Watches...)
	c.Watches = nil
}

// Release ends watches of a group. Zero ones are left out.
func (ts *Things) Release(group string, watches ...Watch) {
	for _, w := range watches {
		if w.Thing != nil {
			ts.release(group, w.Thing)
		}
	}
}

// Settle ends what matters no more to a call that is over.
func (ts *Things) Settle(c *Change) {
	c.Watches = slices.DeleteFunc(c.Watches, func(w Watch) bool {
		if c.minds(&w) {
			return false
		}
		ts.release(c.group, w.Thing)
		return true
	})
}

// Recalled makes a Change of what was kept of one. Zero watches are left out.
func (c *Change) Recalled(f Facts, group string, watches ...Watch) {
	c.Facts, c.group, c.Watches = f, group, c.first[:0]
	for _, w := range watches {
		if w.Thing != nil {
			c.Watches = append(c.Watches, w)
		}
	}
}
