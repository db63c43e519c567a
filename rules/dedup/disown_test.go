package dedup

import "testing"

func TestWhatWasDisownedIsNoEvidence(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T").leads().done("a")
	s.refresh("R1")
	s.m.Disown()
	s.call("runJob 1", "R1").leads().done("b") // nobody knows whose login R1 is
	s.refresh("R2")
	s.call("runJob 1", "R2").replays("b", Resend) // from here on all is known
}

func TestAMarkThatWasDisownedIsNotForALaterLogin(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T").leads().done("a")
	s.m.Disown()
	s.refresh("R1")
	s.call("runJob 1", "R1").leads()
}

func TestNoMarkOfSeveralThatWereDisownedIsForALaterLogin(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T").leads().done("a")
	s.call("runJob 1", "T").leads().done("b")
	s.m.Disown()
	s.refresh("R1")
	s.call("runJob 1", "R1").leads()
}

func TestADisownedOrphanGivesNothing(t *testing.T) {
	s := crossed(t)
	s.refresh("R2")
	s.call("runJob 1", "R2").leads().done("b")
	s.m.Disown()
	s.call("runJob 1", "R1").leads()
}

func TestDisowningLeavesAnswersToEqualBodiesAndRetries(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("saveJob 1", "T").leads().done("a")
	s.m.Disown()
	s.call("saveJob 1", "T").replays("a", EqualBody)
}
