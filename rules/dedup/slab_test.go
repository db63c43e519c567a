package dedup

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Whatever comes and goes, each text comes back as it was, and nothing is left
// of those that are gone.
func TestTextsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ts texts
		kept := map[text][]byte{}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				want := bytes.Repeat([]byte{rapid.Byte().Draw(t, "byte")}, rapid.SampledFrom([]int{1, 59, 60, 61, 119, 120, 121, 60 * pieceLen}).Draw(t, "length"))
				kept[ts.add(want)] = want
			},
			"remove": func(t *rapid.T) {
				if len(kept) == 0 {
					t.Skip("there is none")
				}
				gone := slices.SortedFunc(maps.Keys(kept), func(a, b text) int { return int(a.first) - int(b.first) })[0]
				ts.remove(gone)
				delete(kept, gone)
			},
			"": func(t *rapid.T) {
				blocks := 0
				for k, want := range kept {
					if got := ts.get(k); !bytes.Equal(got, want) {
						t.Fatalf("got %q, want %q", got, want)
					}
					blocks += (len(want) + 59) / 60
				}
				if ts.blocks.len() != blocks {
					t.Fatalf("%d blocks are in use, want %d", ts.blocks.len(), blocks)
				}
			},
		})
	})
}

func TestAnEmptyTextNeedsNoBlock(t *testing.T) {
	var ts texts
	empty := ts.add(nil)
	if got := ts.get(empty); len(got) != 0 || ts.blocks.len() != 0 {
		t.Errorf("got %q in %d blocks", got, ts.blocks.len())
	}
	ts.remove(empty)
}

func TestTheMemoryOfASlabGoesWithTheLast(t *testing.T) {
	var s slab[int]
	var all []slot
	for range 3 * pieceLen {
		all = append(all, s.add())
	}
	for _, n := range all[1:] {
		s.remove(n)
	}
	if *s.at(all[0]) = 5; len(s.pieces) != 3 || s.len() != 1 {
		t.Errorf("%d pieces for %d", len(s.pieces), s.len())
	}
	s.remove(all[0])
	if s.pieces != nil || s.free != nil {
		t.Error("memory is left")
	}
	if *s.at(s.add()) != 0 {
		t.Error("what is new is not zero")
	}
}

func TestAPoolKeepsWhatSomebodyHolds(t *testing.T) {
	p := newPool[string]()
	a, b := p.hold("a"), p.hold("b")
	if p.hold("a") != a || a == b {
		t.Error("equal strings have one slot, others another")
	}
	p.release(a)
	if p.at(a) != "a" {
		t.Error("what is held once more is gone")
	}
	p.release(a)
	p.release(b)
	if len(p.has) != 0 || p.slab.len() != 0 {
		t.Error("what nobody holds is kept")
	}
}
