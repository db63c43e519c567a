package archive

import "powerjob-shim/internal/slab"

// Answer is a recorded answer. All calls that get it share it, so it must not be changed.
type Answer struct {
	Status int
	Header Header // the fields that a repetition gets, without the auth header
	Auth   string // the upstream's own auth header; empty if it sent none
	Body   []byte // plain, whatever encoding it came in
}

// Bytes is what is charged for an answer: its header, its body and the links between
// blocks. Every answer is charged for its header, though equal headers are kept
// once, and for a quarter of it more: a header that no other answer has takes a place
// in a map and memory that is rounded up.
func (a *Answer) Bytes() int64 { return size(len(a.Header), len(a.Body)) }

func size(header, body int) int64 {
	return int64(header + header/4 + body + body/len(block{}.part)*4)
}

// answers keeps many answers in little room: bodies in blocks of one
// size, and what answers have in common once. The zero value is empty.
type answers struct {
	heads  slab.Pool[head]
	bodies texts
}

// answer refers to an answer that is kept. It has no pointers. The zero value refers
// to none.
type answer struct {
	head slab.Slot
	body text
}

// head is what an answer has in common with most others.
type head struct {
	status int
	header Header
	auth   string
}

// put keeps an answer until it is removed.
func (as *answers) put(of *Answer) answer {
	return answer{as.heads.Hold(head{of.Status, of.Header, of.Auth}), as.bodies.add(of.Body)}
}

// get returns a kept answer. Its body is a copy.
func (as *answers) get(a answer) *Answer {
	h := as.heads.At(a.head)
	return &Answer{h.status, h.header, h.auth, as.bodies.get(a.body)}
}

// remove forgets an answer; it does nothing for the zero value.
func (as *answers) remove(a answer) {
	if a == (answer{}) {
		return
	}
	as.heads.Release(a.head)
	as.bodies.remove(a.body)
}

// bytes is what is charged for a kept answer; 0 for none.
func (as *answers) bytes(a answer) int64 {
	if a == (answer{}) {
		return 0
	}
	return size(len(as.heads.At(a.head).header), int(a.body.len))
}

// len returns the number of parts that are kept.
func (as *answers) len() int { return as.heads.Len() + as.bodies.blocks.Len() }
