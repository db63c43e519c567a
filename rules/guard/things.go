package guard

import (
	"powerjob-shim/internal/slab"
	"powerjob-shim/rules/openapi"
)

// Thing is a job, workflow, node or instance that calls change.
type Thing struct {
	Is   openapi.Subject
	Gen  uint64 // raised when a change on it is sent, and again when that ends
	Busy int32  // changes on it that are in flight

	holders int32
	slot    slab.Slot
}

// Things has the things that remembered calls watch. The zero value is empty.
type Things struct {
	gen   uint64 // the last generation given out
	all   slab.Slab[Thing]
	named map[string]map[openapi.Subject]slab.Slot // by group
}

// Slot returns a thing's slot in its Things.
func (t *Thing) Slot() slab.Slot { return t.slot }

// At returns the thing in a slot.
func (ts *Things) At(s slab.Slot) *Thing { return ts.all.At(s) }

// hold returns the thing of a group that a subject names. Things keeps it until it has
// been released as often as it was held.
func (ts *Things) hold(group string, is openapi.Subject) *Thing {
	if ts.named == nil {
		ts.named = map[string]map[openapi.Subject]slab.Slot{}
	}
	all := ts.named[group]
	if all == nil {
		all = map[openapi.Subject]slab.Slot{}
		ts.named[group] = all
	}
	s := all[is]
	if s == 0 {
		s = ts.all.Add()
		*ts.all.At(s) = Thing{Is: is, slot: s}
		ts.raise(ts.all.At(s))
		all[is] = s
	}
	t := ts.all.At(s)
	t.holders++
	return t
}

// release undoes one hold.
func (ts *Things) release(group string, t *Thing) {
	if t.holders--; t.holders > 0 {
		return
	}
	all := ts.named[group]
	if delete(all, t.Is); len(all) == 0 {
		delete(ts.named, group)
	}
	ts.all.Remove(t.slot)
}

// raise gives a thing a generation that no thing has had.
func (ts *Things) raise(t *Thing) {
	ts.gen++
	t.Gen = ts.gen
}

// Len returns how many things there are.
func (ts *Things) Len() int { return ts.all.Len() }

// All yields each thing with the number of its holders.
func (ts *Things) All(yield func(t *Thing, holders int32) bool) {
	for _, all := range ts.named {
		for _, s := range all {
			if t := ts.all.At(s); !yield(t, t.holders) {
				return
			}
		}
	}
}
