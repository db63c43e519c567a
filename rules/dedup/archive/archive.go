// Package archive keeps the answers of calls that are over, many and for seconds, so
// that they take little room and the garbage collector has next to nothing to do with
// them: bodies in blocks of one size, and what answers have in common once. The rules
// of deduplication know an answer and a number for it, and nothing of this.
//
//	var answers archive.Answers
//	ref := answers.Put(archive.Answer{Status: 200, Body: body})
//	answer := answers.Get(ref)
//	answers.Remove(ref)
//
// Nothing in it is safe for concurrent use.
package archive

import "powerjob-shim/internal/slab"

// Answer is a recorded answer.
type Answer struct {
	Status int
	Header string // in any form; mostly that of many others
	Auth   string // the same
	Body   []byte
}

// Ref stands for an answer that is kept. It has no pointers. The zero value stands
// for none.
type Ref struct {
	head slab.Slot
	body text
}

// Answers keeps answers. The zero value is empty.
type Answers struct {
	heads  slab.Pool[head]
	bodies texts
}

// head is what an answer has in common with most others.
type head struct {
	status       int
	header, auth string
}

// Put keeps an answer until it is removed.
func (a *Answers) Put(of Answer) Ref {
	return Ref{a.heads.Hold(head{of.Status, of.Header, of.Auth}), a.bodies.add(of.Body)}
}

// Get returns an answer that is kept. Its body is a copy.
func (a *Answers) Get(r Ref) Answer {
	h := a.heads.At(r.head)
	return Answer{h.status, h.header, h.auth, a.bodies.get(r.body)}
}

// Remove forgets an answer; none is no harm.
func (a *Answers) Remove(r Ref) {
	if r == (Ref{}) {
		return
	}
	a.heads.Release(r.head)
	a.bodies.remove(r.body)
}

// Bytes is what an answer that is kept is counted for; 0 for none.
func (a *Answers) Bytes(r Ref) int64 {
	if r == (Ref{}) {
		return 0
	}
	return Bytes(len(a.heads.At(r.head).header), int(r.body.len))
}

// Len returns of how many parts all that is kept consists.
func (a *Answers) Len() int { return a.heads.Len() + a.bodies.blocks.Len() }

// Bytes is what an answer is counted for: its header, its body and what leads from
// block to block. Every answer is counted for its header, though equal ones are kept
// once, and for a quarter of it more: one that no other answer has takes a place in a
// map and memory that is rounded up.
func Bytes(header, body int) int64 {
	return int64(header + header/4 + body + body/len(block{}.part)*4)
}
