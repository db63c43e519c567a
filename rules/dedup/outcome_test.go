package dedup

import (
	"testing"
	"time"
)

const ms = time.Millisecond

func TestWhoWaitsForACallThatWasNotSentIsToldSo(t *testing.T) {
	s := newScene(t)
	first := s.call("saveJob 1 A", "T").leads()
	second := s.call("saveJob 1 A", "T").waits(EqualBody)
	first.ends(Outcome{Kind: NotSent}).delivered()
	second.resumed().fails(NotSent)
	s.call("saveJob 1 A", "T").leads()
}

func TestWhoWaitsForACallThatWasLostIsToldSo(t *testing.T) {
	s := newScene(t)
	first := s.call("saveJob 1 A", "T").leads()
	second := s.call("saveJob 1 A", "T").waits(EqualBody)
	first.ends(Outcome{Kind: Lost}).delivered()
	next := s.call("saveJob 1 A", "T").leads() // executed again, one at a time
	s.call("saveJob 1 A", "T").waits(EqualBody)
	second.resumed().fails(Lost)
	next.done("a")
}

func TestALeaderThatNeverReportsCountsAsLost(t *testing.T) {
	s := newScene(t)
	first := s.call("saveJob 1 A", "T").leads()
	s.pass(lease / 2)
	second := s.call("saveJob 1 A", "T").waits(EqualBody)
	s.pass(lease / 2)
	second.resumed().fails(Lost)
	s.call("saveJob 1 A", "T").leads().done("b")
	first.answered("too late").delivered() // nobody listens to it any more
	s.call("saveJob 1 A", "T").replays("b", EqualBody)
}

func TestALeaseOfZeroIsAnHour(t *testing.T) {
	s := newScene(t)
	s.call("saveJob 1 A", "T", func(c *Call) { c.Lease = 0 }).leads()
	s.pass(time.Hour - 3*ms)
	s.call("saveJob 1 A", "T").waits(EqualBody)
	s.pass(3 * ms)
	s.call("saveJob 1 A", "T").leads()
}

func TestWhoWaitsLongerThanItsOwnLeaseIsForgotten(t *testing.T) {
	s := newScene(t)
	s.call("saveJob 1 A", "T", func(c *Call) { c.Lease = time.Hour }).leads()
	second := s.call("saveJob 1 A", "T").waits(EqualBody)
	s.pass(lease)
	second.resumed().fails(Lost)
}

func TestAnErrorGoesToWhoWaitsAndIsNotKept(t *testing.T) {
	for name, out := range map[string]Outcome{
		"500":            failed(500, "broken"),
		"business error": failed(200, `{"success":false}`),
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			first := s.call("saveJob 1 A", "T").leads()
			second := s.call("saveJob 1 A", "T").waits(EqualBody)
			first.ends(out).delivered()
			second.resumed().replays(string(out.Answer.Body), EqualBody)
			s.call("saveJob 1 A", "T").leads().done("a")
		})
	}
}

func TestOnlyAnAnswerThatClientsRepeatLeavesAMarkWithWhoWaited(t *testing.T) {
	for status, want := range map[int]Reason{200: Resend, 500: First} {
		s := newScene(t)
		s.constructor("T")
		first := s.call("saveJob 1 A", "U").leads()
		second := s.call("saveJob 1 A", "T").waits(EqualBody)
		first.ends(Outcome{Kind: Answered, Status: status, Answer: &Answer{Status: status}}).hangsUp().delivered()
		second.resumed().replays("", EqualBody)
		s.refresh("R")
		s.call("saveJob 1 A", "R").leadsAs(want)
	}
}

func TestWhoWaitsForAnAnswerThatIsTooLargeForwardsItself(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	first := s.call("saveJob 1 A", "T").leads()
	second := s.call("saveJob 1 A", "T").waits(EqualBody)
	first.ends(Outcome{Kind: Answered, Status: 500}).delivered() // its answer is not here
	second.resumed().is(Lead, EqualBody).done("b")
	s.call("saveJob 1 A", "T").replays("b", EqualBody)
	s.refresh("R1")
	s.call("saveJob 1 A", "R1").replays("b", Resend)
}

func TestWhoWaitsForACallThatWasDeniedForwardsItself(t *testing.T) {
	s := newScene(t)
	first := s.call("saveJob 1 A", "T").leads()
	second := s.call("saveJob 1 A", "U").waits(EqualBody)
	third := s.call("saveJob 1 A", "V").waits(EqualBody)
	first.ends(Outcome{Kind: Denied}).delivered()
	second.resumed().is(Lead, EqualBody).done("b")
	third.resumed().is(Lead, EqualBody).done("c")
	s.call("saveJob 1 A", "T").replays("c", EqualBody)
}

// The first caller is gone and the upstream refused its token; the next one
// is forwarded for itself, and its own repetition must be known.
func TestWhoForwardsItselfAfterItsLeaderIsRemembered(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	first := s.call("saveJob 1 A", "U").leads()
	second := s.call("saveJob 1 A", "T").waits(EqualBody)
	first.hangsUp().ends(Outcome{Kind: Denied}).delivered()
	second.resumed().is(Lead, EqualBody)
	third := s.call("saveJob 1 A", "V").waits(EqualBody)
	second.done("b")
	third.resumed().replays("b", EqualBody)
	s.refresh("R")
	s.call("saveJob 1 A", "R").replays("b", Resend)
}

func TestAnEqualReadThatFailedTakesNoMarkAway(t *testing.T) {
	play(t, "an-equal-read-that-failed-takes-no-mark-away")
}

// A server that checks tokens.

func TestACheckedAnswerIsForItsTokenAndThoseOfItsApp(t *testing.T) {
	for other, mayHave := range map[string]bool{"T": true, "of its app": true, "of app 2": false, "of another group's app 1": false, "forged": false, "": false} {
		s := newScene(t)
		s.constructor("T")
		s.constructor("of its app")
		s.refresh("of app 2", func(in *Issue) { in.App = "2" })
		s.refresh("of another group's app 1", loginTo("another server"))
		s.call("saveJob 1 A", "T").leads().ends(accepted("a")).delivered()
		if c := s.call("saveJob 1 A", other); mayHave {
			c.replays("a", EqualBody)
		} else {
			c.leads().ends(Outcome{Kind: Denied}).delivered()
		}
	}
}

func TestWhoMayNotHaveACheckedAnswerIsNotKeptWaitingForIt(t *testing.T) {
	s := newScene(t)
	first := s.call("saveJob 1 A", "T").leads()
	forged := s.call("saveJob 1 A", "forged").waits(EqualBody) // nobody knows yet that it is checked
	first.ends(accepted("a")).delivered()
	forged.resumed().is(Lead, EqualBody).ends(Outcome{Kind: Denied}).delivered()
}

func TestWhoMayNotHaveACheckedAnswerDoesNotGetItByHangingUp(t *testing.T) {
	s := newScene(t)
	first := s.call("saveJob 1 A", "T").leads()
	s.call("saveJob 1 A", "forged").waits(EqualBody).hangsUp()
	first.ends(accepted("a")).delivered()
	s.call("saveJob 1 A", "forged").leads().ends(Outcome{Kind: Denied}).delivered()
}

func TestACheckedAnswerIsReplayedOnEvidence(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T").leads().ends(accepted("a")).delivered()
	s.refresh("R")
	s.call("runJob 1", "R").replays("a", Resend)
}

func TestACheckedAnswerOfAnotherAppIsNotReplayedOnEvidence(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T", ofApp("2")).leads().ends(accepted("a")).delivered()
	s.refresh("R")
	s.call("runJob 1", "R").leadsAs(Resend)
}

func TestACheckedAnswerOfAnotherGroupIsNotReplayedOnEvidence(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T").leads().ends(accepted("a")).delivered()
	s.refresh("R", loginTo("another server"))
	s.call("runJob 1", "R").leadsAs(Resend)
}

// What an arrival is told about itself.

func TestWhatIsNotWaitingIsNotResumed(t *testing.T) {
	s := newScene(t)
	first := s.call("saveJob 1 A", "T").leads()
	if d := s.m.Resume(s.now, first.id); d.Verdict != Fail || d.Outcome != Lost {
		t.Errorf("a leader: got %+v", d)
	}
	if d := s.m.Resume(s.now, 999); d.Verdict != Fail || d.Outcome != Lost {
		t.Errorf("a stranger: got %+v", d)
	}
	s.m.Finish(s.now, 999, kept("x"))
	s.m.Leave(s.now, 999)
	s.m.Delivered(s.now, 999)
	s.m.Delivered(s.now, first.id) // not before it has ended
	first.done("a")
	s.call("saveJob 1 A", "T").replays("a", EqualBody)
}
