package archive

import "powerjob-shim/internal/slab"

// texts keeps strings of any length in blocks of one size.
type texts struct{ blocks slab.Slab[block] }

// block is a part of a text.
type block struct {
	next slab.Slot
	part [60]byte
}

// text is a string that a texts keeps.
type text struct {
	first slab.Slot
	len   uint32
}

func (ts *texts) add(s []byte) text {
	t := text{len: uint32(len(s))}
	next := &t.first
	for len(s) > 0 {
		*next = ts.blocks.Add()
		b := ts.blocks.At(*next)
		s = s[copy(b.part[:], s):]
		next = &b.next
	}
	return t
}

func (ts *texts) get(t text) []byte {
	s := make([]byte, t.len)
	for rest, n := s, t.first; n != 0; {
		b := ts.blocks.At(n)
		rest, n = rest[copy(rest, b.part[:]):], b.next
	}
	return s
}

func (ts *texts) remove(t text) {
	for n := t.first; n != 0; {
		next := ts.blocks.At(n).next
		ts.blocks.Remove(n)
		n = next
	}
}
