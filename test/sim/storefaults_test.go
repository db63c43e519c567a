package sim

import (
	"slices"
	"testing"
)

// Shims that share a store which fails in every way: a call is executed twice
// only where docs/promise.md says so, and hardly ever is one dropped that was
// meant.
func TestASharedStoreThatFailsDoublesOnlyMeanwhile(t *testing.T) {
	sums := playAll(SharedStore(), func(f Family) int { return max(histories(f)/4, 20) })
	report(sums)
	for _, s := range sums {
		if s.unexplained > 0 {
			t.Errorf("%s: %d histories with a call that was executed twice, while store and shims worked; see: go test ./test/sim -run SharedStore -args -seeds 4 -from %d -family %q -show unexplained",
				s.Name, s.unexplained, s.first["unexplained"], s.Name)
		}
	}
	judge(t, sums)
}

func TestAHistoryWithASharedStoreIsTheSameEachTime(t *testing.T) {
	for _, f := range SharedStore() {
		a, b := Play(f, Seeded(7), true), Play(f, Seeded(7), true)
		if !slices.Equal(a.Timeline, b.Timeline) {
			t.Errorf("%s: two timelines of one seed", f.Name)
		}
	}
}
