package archive

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
				want := bytes.Repeat([]byte{rapid.Byte().Draw(t, "byte")}, rapid.SampledFrom([]int{1, 59, 60, 61, 119, 120, 121, 60 * 1000}).Draw(t, "length"))
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
				if ts.blocks.Len() != blocks {
					t.Fatalf("%d blocks are in use, want %d", ts.blocks.Len(), blocks)
				}
			},
		})
	})
}

func TestAnEmptyTextNeedsNoBlock(t *testing.T) {
	var ts texts
	empty := ts.add(nil)
	if got := ts.get(empty); len(got) != 0 || ts.blocks.Len() != 0 {
		t.Errorf("got %q in %d blocks", got, ts.blocks.Len())
	}
	ts.remove(empty)
}
