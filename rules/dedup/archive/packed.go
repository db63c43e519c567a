package archive

import (
	"encoding/binary"
	"iter"

	"powerjob-shim/internal/ordered"
	"powerjob-shim/internal/slab"
	"powerjob-shim/rules/guard"
)

// Packed is Calls in little room. Most calls are over within milliseconds and
// remembered for seconds, so nearly everything that a store holds is calls that are
// over, mostly one for each key. Each is a record without pointers, which the garbage
// collector need not look into.
type Packed[F Facts, By comparable] struct {
	records slab.Slab[record[F]]
	answers answers
	callers slab.Pool[By]
	things  *guard.Things
	ends    ordered.List[slab.Slot] // all calls, by the ends of their windows

	// The calls with an open mark, and those that must come back. Mostly a key has one
	// such call, which is found by a prefix of the key: a map by whole keys would take
	// twice as much. If another key has the same prefix, or a key has several, it has a page.
	single map[prefix]slab.Slot
	pages  map[Key]*ordered.List[slab.Slot] // by their marks
}

// record is a Call without pointers. F must have none either.
type record[F Facts] struct {
	key     Key
	arrival uint64
	ends    int64
	facts   F
	by      slab.Slot
	answer  answer
	things  [MaxWatches]slab.Slot
	gens    [MaxWatches]uint64
}

type prefix uint32

func prefixOf(k Key) prefix { return prefix(binary.BigEndian.Uint32(k[:])) }

// NewPacked returns an empty archive of calls that watch some of things.
func NewPacked[F Facts, By comparable](things *guard.Things) *Packed[F, By] {
	return &Packed[F, By]{things: things, single: map[prefix]slab.Slot{}, pages: map[Key]*ordered.List[slab.Slot]{}}
}

// Put implements Calls.
func (p *Packed[F, By]) Put(c Call[F, By]) bool {
	if !p.hasPlace(&c) {
		return false
	}
	s := p.records.Add()
	r := p.records.At(s)
	r.key, r.arrival, r.ends, r.facts, r.by = c.Key, c.Arrival, c.Ends, c.Facts, p.callers.Hold(c.By)
	if c.Answer != nil {
		r.answer = p.answers.put(c.Answer)
	}
	for i, w := range c.Watches {
		if w.Thing != nil {
			r.things[i], r.gens[i] = w.Thing.Slot(), w.Gen
		}
	}
	p.ends.Add(r.endKey(), s)
	p.list(s, r)
	return true
}

func (p *Packed[F, By]) hasPlace(c *Call[F, By]) bool {
	if c.Facts.Returns() {
		return p.pages[c.Key] == nil && p.single[prefixOf(c.Key)] == 0
	}
	r := p.only(c.Key)
	return r == nil || !r.facts.Returns()
}

// only returns the call of a key that has no page; nil if there is none.
func (p *Packed[F, By]) only(key Key) *record[F] {
	if s := p.single[prefixOf(key)]; s != 0 && p.records.At(s).key == key {
		return p.records.At(s)
	}
	return nil
}

// list makes a call known by its key.
func (p *Packed[F, By]) list(s slab.Slot, r *record[F]) {
	page := p.pages[r.key]
	if page == nil {
		first := p.single[prefixOf(r.key)]
		if first == 0 {
			p.single[prefixOf(r.key)] = s
			return
		}
		page = &ordered.List[slab.Slot]{}
		p.pages[r.key] = page
		if f := p.records.At(first); f.key == r.key {
			page.Add(f.markKey(), first)
			delete(p.single, prefixOf(r.key))
		}
	}
	page.Add(r.markKey(), s)
}

// unlist undoes list.
func (p *Packed[F, By]) unlist(s slab.Slot, r *record[F]) {
	if p.single[prefixOf(r.key)] == s {
		delete(p.single, prefixOf(r.key))
	} else if page := p.pages[r.key]; page != nil {
		if page.Remove(r.markKey()); page.Len() == 0 {
			delete(p.pages, r.key)
		}
	}
}

// Marks implements Calls.
func (p *Packed[F, By]) Marks(key Key, from, before ordered.Key) iter.Seq2[ordered.Key, Mark[F, By]] {
	return func(yield func(ordered.Key, Mark[F, By]) bool) {
		if page := p.pages[key]; page != nil {
			for at, s := range page.Backward(before) {
				if at.Less(from) || !yield(at, p.mark(p.records.At(s))) {
					return
				}
			}
			return
		}
		r := p.only(key)
		if r == nil {
			return
		}
		if at := r.markKey(); r.open() && at.Less(before) && !at.Less(from) {
			yield(at, p.mark(r))
		}
	}
}

func (p *Packed[F, By]) mark(r *record[F]) Mark[F, By] {
	return Mark[F, By]{r.facts, p.callers.At(r.by)}
}

// Recall implements Calls.
func (p *Packed[F, By]) Recall(key Key) (c Call[F, By], ok bool) {
	if r := p.only(key); r != nil && r.facts.Returns() {
		return p.take(p.single[prefixOf(key)], true), true
	}
	return c, false
}

// RecallMark implements Calls.
func (p *Packed[F, By]) RecallMark(key Key, mark ordered.Key) Call[F, By] {
	s := p.single[prefixOf(key)]
	if page := p.pages[key]; page != nil {
		s, _ = page.Get(mark)
	}
	return p.take(s, true)
}

// take takes out a call.
func (p *Packed[F, By]) take(s slab.Slot, withAnswer bool) Call[F, By] {
	r := p.records.At(s)
	c := Call[F, By]{Key: r.key, Arrival: r.arrival, Ends: r.ends, Facts: r.facts, By: p.callers.At(r.by), Bytes: p.answers.bytes(r.answer)}
	if withAnswer && r.answer != (answer{}) {
		c.Answer = p.answers.get(r.answer)
	}
	for i, thing := range r.things {
		if thing != 0 {
			c.Watches[i] = guard.Watch{Thing: p.things.At(thing), Gen: r.gens[i]}
		}
	}
	p.unlist(s, r)
	p.ends.Remove(r.endKey())
	p.callers.Release(r.by)
	p.answers.remove(r.answer)
	p.records.Remove(s)
	return c
}

// FirstEnd implements Calls.
func (p *Packed[F, By]) FirstEnd() ordered.Key { return p.ends.FirstKey() }

// Expire implements Calls.
func (p *Packed[F, By]) Expire() Call[F, By] { return p.take(p.ends.First(), false) }

// ForgetMarks implements Calls.
func (p *Packed[F, By]) ForgetMarks(forget func(*F)) {
	for _, s := range p.ends.Backward(ordered.Last) {
		r := p.records.At(s)
		p.unlist(s, r)
		if forget(&r.facts); r.facts.Returns() {
			p.list(s, r)
		}
	}
}

// Count implements Calls.
func (p *Packed[F, By]) Count(key Key) int {
	if page := p.pages[key]; page != nil {
		return page.Len()
	}
	if p.only(key) != nil {
		return 1
	}
	return 0
}

// Len returns the number of parts that are kept.
func (p *Packed[F, By]) Len() int {
	return p.records.Len() + p.answers.len() + p.callers.Len() + p.ends.Len() + len(p.single) + len(p.pages)
}

func (r *record[F]) open() bool {
	_, open := r.facts.Mark()
	return open
}

func (r *record[F]) markKey() ordered.Key {
	at, _ := r.facts.Mark()
	return ordered.Key{At: at, N: r.arrival}
}

func (r *record[F]) endKey() ordered.Key { return ordered.Key{At: r.ends, N: r.arrival} }

// Calls returns how many calls there are.
func (p *Packed[F, By]) Calls() int { return p.records.Len() }

// Bytes returns what is charged for all answers.
func (p *Packed[F, By]) Bytes() (all int64) {
	for _, s := range p.ends.Backward(ordered.Last) {
		all += p.answers.bytes(p.records.At(s).answer)
	}
	return all
}

// Watched returns how many calls watch each thing.
func (p *Packed[F, By]) Watched() map[*guard.Thing]int32 {
	all := map[*guard.Thing]int32{}
	for _, s := range p.ends.Backward(ordered.Last) {
		for _, thing := range p.records.At(s).things {
			if thing != 0 {
				all[p.things.At(thing)]++
			}
		}
	}
	return all
}
