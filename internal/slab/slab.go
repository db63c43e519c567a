// Package slab keeps many small things with next to no work for the garbage
// collector: side by side in few large pieces, under numbers instead of
// pointers. Nothing in it is safe for concurrent use.
package slab

// Slab keeps Ts, each in a slot of its own. The garbage collector looks into them
// only where a T has pointers. The zero value is empty.
type Slab[T any] struct {
	pieces []*[pieceLen]T
	free   []Slot // given out, and returned since
	last   Slot   // the highest that was given out
}

// Slot is a T's number in its Slab, from 1 on; 0 means no T.
type Slot uint32

const pieceLen = 256

// Add makes room for a T, which is zero, and returns its slot.
func (s *Slab[T]) Add() Slot {
	if n := len(s.free); n > 0 {
		at := s.free[n-1]
		s.free = s.free[:n-1]
		return at
	}
	if int(s.last) == len(s.pieces)*pieceLen {
		s.pieces = append(s.pieces, new([pieceLen]T))
	}
	s.last++
	return s.last
}

// At returns the T in a slot. It stays where it is until it is removed.
func (s *Slab[T]) At(n Slot) *T {
	return &s.pieces[(n-1)/pieceLen][(n-1)%pieceLen]
}

// Remove frees a slot: the next T may get it. When the last T goes, so does
// the memory, unless it is little.
func (s *Slab[T]) Remove(n Slot) {
	var zero T
	*s.At(n) = zero
	if s.free = append(s.free, n); s.Len() == 0 && len(s.pieces) > 1 {
		*s = Slab[T]{}
	}
}

// Len returns how many Ts there are.
func (s *Slab[T]) Len() int { return int(s.last) - len(s.free) }

// Pool keeps each T once, in one slot for all holders of an equal T. The zero value
// is empty.
type Pool[T comparable] struct {
	all Slab[pooled[T]]
	has map[T]Slot
}

type pooled[T comparable] struct {
	is      T
	holders int
}

// Hold returns the slot of a T, which is kept until it has been released as
// often as it was held.
func (p *Pool[T]) Hold(is T) Slot {
	s := p.has[is]
	if s == 0 {
		if p.has == nil {
			p.has = map[T]Slot{}
		}
		s = p.all.Add()
		p.all.At(s).is = is
		p.has[is] = s
	}
	p.all.At(s).holders++
	return s
}

// At returns the T in a slot that is held.
func (p *Pool[T]) At(s Slot) T { return p.all.At(s).is }

// Release undoes one Hold.
func (p *Pool[T]) Release(s Slot) {
	held := p.all.At(s)
	if held.holders--; held.holders == 0 {
		delete(p.has, held.is)
		p.all.Remove(s)
	}
}

// Len returns how many Ts there are.
func (p *Pool[T]) Len() int { return p.all.Len() }
