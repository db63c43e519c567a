package archive

import "powerjob-shim/internal/slab"

// Answer is a recorded answer. It is shared by all who get it: read it only.
type Answer struct {
	Status int
	Header Header // what a repetition gets of it, the auth header apart
	Auth   string // the upstream's own auth header; empty where it sent none
	Body   []byte // plain, whatever encoding it came in
}

// Bytes is what an answer is counted for: its header, its body and what leads from
// block to block. Every answer is counted for its header, though equal ones are kept
// once, and for a quarter of it more: one that no other answer has takes a place in a
// map and memory that is rounded up.
func (a *Answer) Bytes() int64 { return size(len(a.Header), len(a.Body)) }

func size(header, body int) int64 {
	return int64(header + header/4 + body + body/len(block{}.part)*4)
}

// answers keeps many answers, so that they take little room: bodies in blocks of one
// size, and what answers have in common once. The zero value is empty.
type answers struct {
	heads  slab.Pool[head]
	bodies texts
}

// answer stands for an answer that is kept. It has no pointers. The zero value stands
// for none.
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

// get returns an answer that is kept. Its body is a copy.
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

// bytes is what an answer that is kept is counted for; 0 for none.
func (as *answers) bytes(a answer) int64 {
	if a == (answer{}) {
		return 0
	}
	return size(len(as.heads.At(a.head).header), int(a.body.len))
}

// len returns of how many parts all that is kept consists.
func (as *answers) len() int { return as.heads.Len() + as.bodies.blocks.Len() }
