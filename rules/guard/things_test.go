package guard

import (
	"testing"

	"powerjob-shim/rules/openapi"
)

// What calls change is known for as long as one of them watches it.
func TestThingsAreKnownWhileTheyAreHeld(t *testing.T) {
	var ts Things
	is := openapi.Subject{Kind: openapi.Job, ID: 1}
	a, b := ts.hold("g", is), ts.hold("g", is)
	other := ts.hold("h", is)
	if a != b || a == other || a.Gen != 1 || other.Gen != 2 {
		t.Errorf("got %+v, %+v and %+v", a, b, other)
	}
	ts.release("g", a)
	if ts.Len() != 2 {
		t.Errorf("%d things are known, want 2: one is held still", ts.Len())
	}
	ts.release("g", b)
	ts.release("h", other)
	if ts.Len() != 0 || len(ts.named) != 0 {
		t.Errorf("%d things are left over", ts.Len())
	}
}
