package replay

import (
	"math/rand/v2"
	"testing"
)

// What a call costs must not grow with how many equal ones are in flight, and
// each is forgotten, in whatever order they end.
func TestAFewOfManyEqualCallsInFlightAreAsked(t *testing.T) {
	var s overlaps
	var o overlap
	calls := make([]underway, 1000)
	for i := range calls {
		s.enter(o, &calls[i])
		if n := len(calls[i].earlier); n != min(i, mostAsked) {
			t.Fatalf("call %d asks %d earlier ones", i, n)
		}
	}
	if newest := calls[len(calls)-1].earlier[0]; newest != &calls[len(calls)-2] {
		t.Error("the newest is not asked first")
	}
	for _, i := range rand.Perm(len(calls)) {
		s.leave(&calls[i])
	}
	if len(s.calls) != 0 {
		t.Errorf("%d were left over", len(s.calls))
	}
}
