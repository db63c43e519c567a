package dedup

// slab keeps Ts, each in a slot of its own. They lie side by side in few large
// pieces, so that the garbage collector has few objects to look at, and none to
// look into where a T has no pointers. The zero value is empty.
type slab[T any] struct {
	pieces []*[pieceLen]T
	free   []slot // given out, and taken back
	last   slot   // the highest that was given out
}

// slot is a T's number in its slab, from 1 on; 0 is none.
type slot uint32

const pieceLen = 256

// add makes room for a T, which is zero, and returns its slot.
func (s *slab[T]) add() slot {
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

// at returns the T in a slot. It stays where it is until it is removed.
func (s *slab[T]) at(n slot) *T {
	return &s.pieces[(n-1)/pieceLen][(n-1)%pieceLen]
}

// remove takes a slot back: the next T may get it. When the last T goes, so does
// the memory, unless it is little.
func (s *slab[T]) remove(n slot) {
	var zero T
	*s.at(n) = zero
	if s.free = append(s.free, n); s.len() == 0 && len(s.pieces) > 1 {
		*s = slab[T]{}
	}
}

// len returns how many Ts there are.
func (s *slab[T]) len() int { return int(s.last) - len(s.free) }

// pool keeps each T once, in a slot that all who hold an equal one share.
type pool[T comparable] struct {
	slab slab[pooled[T]]
	has  map[T]slot
}

type pooled[T comparable] struct {
	is      T
	holders int
}

func newPool[T comparable]() pool[T] { return pool[T]{has: map[T]slot{}} }

// hold returns the slot of a T, which is kept until it has been let go of as
// often as it was held.
func (p *pool[T]) hold(is T) slot {
	s := p.has[is]
	if s == 0 {
		s = p.slab.add()
		p.slab.at(s).is = is
		p.has[is] = s
	}
	p.slab.at(s).holders++
	return s
}

func (p *pool[T]) at(s slot) T { return p.slab.at(s).is }

func (p *pool[T]) release(s slot) {
	held := p.slab.at(s)
	if held.holders--; held.holders == 0 {
		delete(p.has, held.is)
		p.slab.remove(s)
	}
}

// texts keeps strings of any length in blocks of one size.
type texts struct{ blocks slab[block] }

// block is a part of a text.
type block struct {
	next slot
	part [60]byte
}

// text is a string that a texts keeps.
type text struct {
	first slot
	len   uint32
}

func (ts *texts) add(s []byte) text {
	t := text{len: uint32(len(s))}
	next := &t.first
	for len(s) > 0 {
		*next = ts.blocks.add()
		b := ts.blocks.at(*next)
		s = s[copy(b.part[:], s):]
		next = &b.next
	}
	return t
}

func (ts *texts) get(t text) []byte {
	s := make([]byte, t.len)
	for rest, n := s, t.first; n != 0; {
		b := ts.blocks.at(n)
		rest, n = rest[copy(rest, b.part[:]):], b.next
	}
	return s
}

func (ts *texts) remove(t text) {
	for n := t.first; n != 0; {
		next := ts.blocks.at(n).next
		ts.blocks.remove(n)
		n = next
	}
}
