package slab

import "testing"

func TestTheMemoryOfASlabGoesWithTheLast(t *testing.T) {
	var s Slab[int]
	var all []Slot
	for range 3 * pieceLen {
		all = append(all, s.Add())
	}
	for _, n := range all[1:] {
		s.Remove(n)
	}
	if *s.At(all[0]) = 5; len(s.pieces) != 3 || s.Len() != 1 {
		t.Errorf("%d pieces for %d", len(s.pieces), s.Len())
	}
	s.Remove(all[0])
	if s.pieces != nil || s.free != nil {
		t.Error("memory is left")
	}
	if *s.At(s.Add()) != 0 {
		t.Error("what is new is not zero")
	}
}

func TestAPoolKeepsWhatSomebodyHolds(t *testing.T) {
	var p Pool[string]
	a, b := p.Hold("a"), p.Hold("b")
	if p.Hold("a") != a || a == b {
		t.Error("equal strings have one slot, others another")
	}
	p.Release(a)
	if p.At(a) != "a" {
		t.Error("what is held once more is gone")
	}
	p.Release(a)
	p.Release(b)
	if len(p.has) != 0 || p.Len() != 0 {
		t.Error("what nobody holds is kept")
	}
}
