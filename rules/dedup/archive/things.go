package archive

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

// Watch is a thing as a call saw it last.
type Watch struct {
	Thing *Thing
	Gen   uint64
}

// Things are all things that remembered calls watch. The zero value is empty.
type Things struct {
	all   slab.Slab[Thing]
	named map[string]map[openapi.Subject]slab.Slot // by group
}

// Hold returns the thing of a group that a subject names. It stays known until it has
// been released as often as it was held. A new one has the generation that gen returns.
func (ts *Things) Hold(group string, is openapi.Subject, gen func() uint64) *Thing {
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
		*ts.all.At(s) = Thing{Is: is, Gen: gen(), slot: s}
		all[is] = s
	}
	t := ts.all.At(s)
	t.holders++
	return t
}

// Release undoes one Hold.
func (ts *Things) Release(group string, t *Thing) {
	if t.holders--; t.holders > 0 {
		return
	}
	all := ts.named[group]
	if delete(all, t.Is); len(all) == 0 {
		delete(ts.named, group)
	}
	ts.all.Remove(t.slot)
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
