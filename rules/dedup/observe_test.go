package dedup

import "testing"

func TestObserveDecidesAndForwards(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T", observed).leads().done("a")
	s.refresh("R")
	s.call("runJob 1", "R", observed).passes(Resend).delivered()
	s.call("runJob 1", "R", observed).leads() // the evidence is used up
}

func TestObserveDoesNotWait(t *testing.T) {
	s := newScene(t)
	first := s.call("saveJob 1 A", "T", observed).leads()
	s.call("saveJob 1 A", "T", observed).passes(EqualBody).delivered()
	first.done("a")
	s.call("saveJob 1 A", "T").replays("a", EqualBody)
}

func TestAnObservedCallIsNotRecorded(t *testing.T) {
	s := newScene(t)
	s.call("saveJob 1 A", "T").leads().done("a")
	s.call("saveJob 1 A", "T", observed).passes(EqualBody).done("b")
	s.call("saveJob 1 A", "T").replays("a", EqualBody)
}

func TestAnObservedCallRaisesNothing(t *testing.T) {
	s := newScene(t)
	s.call("saveJob 1 A", "T").leads().done("a")
	gen := func() uint64 { return genOf(s.m, job(1)) }
	before := gen()
	s.call("saveJob 1 A", "T", observed).passes(EqualBody).delivered()
	if after := gen(); after != before {
		t.Errorf("the job's generation went from %d to %d", before, after)
	}
}

func TestAnObservedRetryIsUsedUp(t *testing.T) {
	s := newScene(t)
	s.call("runJob 1", "T").leads().hangsUp().done("a")
	s.call("runJob 1", "T", observed).passes(Retry).delivered()
	s.call("runJob 1", "T", observed).leads()
}

func TestAnObservedOvertakenCallIsUsedUp(t *testing.T) {
	s := crossed(t)
	s.refresh("R2")
	s.call("runJob 1", "R2").leads().done("b")
	s.call("runJob 1", "R1", observed).passes(Overtaken).delivered()
	s.call("runJob 1", "R1", observed).leads()
}

func TestAnObservedCallThatGaveUpGivesItsEvidenceBack(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T").leads().done("a")
	s.refresh("R")
	s.call("runJob 1", "R", observed).passes(Resend).hangsUp().delivered()
	s.call("runJob 1", "R").replays("a", Resend)
}
