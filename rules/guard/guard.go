// Package guard tells which things calls change, and whether a thing was changed since a
// call was sent. Where only their equality tells that two calls are one, the second may
// get the first one's answer only while nobody else has changed what that one changed.
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
	unlisted   bool // nobody knows the call: it counts as a change only from its end
}

// Facts are what is known of a Change besides its things.
type Facts struct {
	Stale   bool // another call changed its thing while it was in flight
	Unknown bool // it changes something that nobody can name
}

// Watch is a thing as a call saw it last.
type Watch struct {
	Thing *Thing
	Gen   uint64
}

// Two subjects are markers of a group as a whole. Each call that changes something
// watches both. No real subject has these keys.
var (
	// unreadableChange is changed by calls whose subject cannot be read. It matters to all.
	unreadableChange = openapi.Subject{ID: 1}
	// anyChange is changed by every call. It matters to calls whose subject nobody can name.
	anyChange = openapi.Subject{ID: 2}
)

// Watch notes which things a call changes. Nobody else must change them meanwhile.
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

// Sent raises the generations of what a call is about to change. It does not for a call
// that nobody knows: such a call may be polled, or not exist, and would end every
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

// Ended raises them once more. If others raised one meanwhile, the call is stale. changed
// says that the call may have changed something as far as its end tells, and told that
// its answer names everything that it created.
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

// Untouched reports whether nobody else has changed, or is changing, what matters to a
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

// Forget ends all watches of a call.
func (ts *Things) Forget(c *Change) {
	ts.Release(c.group, c.Watches...)
	c.Watches = nil
}

// Release ends watches of a group. It skips zero ones.
func (ts *Things) Release(group string, watches ...Watch) {
	for _, w := range watches {
		if w.Thing != nil {
			ts.release(group, w.Thing)
		}
	}
}

// Settle ends the watches that no longer matter to a call that is over.
func (ts *Things) Settle(c *Change) {
	c.Watches = slices.DeleteFunc(c.Watches, func(w Watch) bool {
		if c.minds(&w) {
			return false
		}
		ts.release(c.group, w.Thing)
		return true
	})
}

// Restore makes c what it was, from what was kept of it. It skips zero watches.
func (c *Change) Restore(f Facts, group string, watches ...Watch) {
	c.Facts, c.group, c.Watches = f, group, c.first[:0]
	for _, w := range watches {
		if w.Thing != nil {
			c.Watches = append(c.Watches, w)
		}
	}
}
