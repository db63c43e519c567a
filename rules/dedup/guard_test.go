package dedup

import (
	"testing"

	"powerjob-shim/rules/openapi"
)

func TestEqualBodiesWithinTheWindowAreOneCall(t *testing.T) {
	s := newScene(t)
	s.call("saveJob 1 A", "T").leads().done("a")
	s.call("saveJob 1 A", "T").replays("a", EqualBody)
	s.call("saveJob 1 A", "U").replays("a", EqualBody)
	s.pass(window)
	s.call("saveJob 1 A", "T").leads()
}

func TestTheWindowOfEqualBodiesRunsFromTheAnswer(t *testing.T) {
	s := newScene(t)
	first := s.call("saveJob 1 A", "T").leads()
	s.pass(lease - window)
	first.answered("a").delivered()
	s.pass(window - 3*ms)
	s.call("saveJob 1 A", "T").replays("a", EqualBody)
	s.pass(window)
	s.call("saveJob 1 A", "T").leads() // a replay does not make it longer
}

func TestAnEqualCallInFlightIsWaitedFor(t *testing.T) {
	s := newScene(t)
	first := s.call("saveJob new A", "T").leads()
	second := s.call("saveJob new A", "T").waits(EqualBody)
	third := s.call("saveJob new A", "U").waits(EqualBody)
	first.done("a", job(7))
	second.resumed().replays("a", EqualBody)
	third.resumed().replays("a", EqualBody)
}

func TestUnderMatchResendEqualCallsAreExecuted(t *testing.T) {
	s := newScene(t)
	first := s.call("runJob 1", "T").leads()
	s.call("runJob 1", "T").leads().done("b") // also with an equal one in flight
	first.done("a")
	s.call("runJob 1", "T").leads()
}

func TestAnAnswerUnderMatchResendIsNotForMatchBody(t *testing.T) {
	s := newScene(t)
	s.call("saveJob 1 A", "T", matchResend).leads().done("a")
	s.call("saveJob 1 A", "T").leads()
}

func TestAPlainReplayLeavesAMark(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("saveJob 1 A", "T").leads().done("a")
	s.call("saveJob 1 A", "T").replays("a", EqualBody)
	s.call("saveJob 1 B", "T").leads().done("b") // from here on, only evidence counts
	s.refresh("R1")
	s.refresh("R2")
	s.call("saveJob 1 A", "R2").replays("a", Resend)
	s.call("saveJob 1 A", "R2").replays("a", Resend)
	s.call("saveJob 1 A", "R2").leads()
}

func TestACallerWhoGaveUpWaitingIsKnownAgain(t *testing.T) {
	s := newScene(t)
	first := s.call("saveJob 1 A", "T").leads()
	s.call("saveJob 1 A", "U").waits(EqualBody).hangsUp()
	first.done("a")
	s.call("saveJob 1 B", "V").leads().done("b")
	s.call("saveJob 1 A", "U").replays("a", Retry)
	s.call("saveJob 1 A", "U").leads()
}

// Order: what comes out is what a server without a shim would have.

func TestSaveASaveBSaveA(t *testing.T) {
	s := newScene(t)
	for _, body := range []string{"A", "B", "A", "B"} {
		s.call("saveJob 1 "+body, "T").leads().done(body)
	}
	s.call("saveJob 1 B", "T").replays("B", EqualBody)
}

func TestSaveASaveBSaveAWithResendsInBetween(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	token := "T"
	for i, body := range []string{"A", "B", "A", "B", "A"} {
		s.call("saveJob 1 "+body, token).leads().done(body)
		token = string(rune('a' + i))
		s.refresh(token)
		s.call("saveJob 1 "+body, token).replays(body, Resend)
	}
}

func TestSaveASaveBSaveAWithLateResends(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("saveJob 1 A", "T").leads().done("a1") // one thread
	s.call("saveJob 1 B", "T").leads().done("b")  // another
	s.call("saveJob 1 A", "T").leads().done("a2") // a third
	s.refresh("R1")
	s.refresh("R2")
	s.refresh("R3")
	s.call("saveJob 1 B", "R3").replays("b", Resend)
	s.call("saveJob 1 A", "R3").replays("a2", Resend)
	s.call("saveJob 1 A", "R3").replays("a1", Resend)
	s.call("saveJob 1 B", "R3").leads()
}

func TestDisableEnableDisable(t *testing.T) {
	for name, rule := range map[string]func(*Call){"match body": matchBody, "match resend": matchResend} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.constructor("T")
			token := "T"
			for i, call := range []string{"disableJob 1", "enableJob 1", "disableJob 1", "enableJob 1"} {
				s.call(call, token, rule).leads().done(call)
				token = string(rune('a' + i))
				s.refresh(token)
				s.call(call, token, rule).replays(call, Resend)
			}
		})
	}
}

func TestCreateDeleteCreate(t *testing.T) {
	s := newScene(t)
	s.call("saveJob new A", "T").leads().done("7", job(7))
	s.call("saveJob new A", "T").replays("7", EqualBody)
	s.call("deleteJob 7", "T").leads().done("gone")
	s.call("saveJob new A", "T").leads().done("8", job(8))
	s.call("deleteJob 9", "T").leads().done("gone") // another job
	s.call("saveJob new A", "T").replays("8", EqualBody)
}

func TestCreateDeleteCreateWithResendsInBetween(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	token, i := "T", 0
	twice := func(call, answer string, created ...openapi.Subject) {
		t.Helper()
		s.call(call, token).leads().done(answer, created...)
		token, i = string(rune('a'+i)), i+1
		s.refresh(token)
		s.call(call, token).replays(answer, Resend)
	}
	twice("saveJob new A", "7", job(7))
	twice("deleteJob 7", "gone")
	twice("saveJob new A", "8", job(8))
	twice("deleteJob 8", "gone")
	twice("saveJob new A", "9", job(9))
}

func TestACreateWhoseAnswerNamesNoIDIsStaleAfterAnyChange(t *testing.T) {
	s := newScene(t)
	s.call("saveJob new A", "T").leads().done("who knows")
	s.call("saveJob new A", "T").replays("who knows", EqualBody)
	s.call("stopInstance 3", "T").leads().done("stopped")
	s.call("saveJob new A", "T").leads()
}

func TestSaveDeleteSave(t *testing.T) {
	s := newScene(t)
	s.call("saveJob 1 A", "T").leads().done("a")
	s.call("deleteJob 1", "T").leads().done("gone")
	s.call("saveJob 1 A", "T").leads().done("a")
}

func TestChangesOfOtherThingsDoNotMatter(t *testing.T) {
	s := newScene(t)
	s.call("saveJob 1 A", "T").leads().done("a")
	s.call("saveJob 2 A", "T").leads().done("x")
	s.call("disableWorkflow 1", "T").leads().done("y")
	s.call("deleteJob 1", "T", ofGroup("another server")).leads().done("z")
	s.call("fetchJob 1", "T").leads().done("")
	s.call("saveJob 1 A", "T").replays("a", EqualBody)
}

func TestAChangeOfUnknownSubjectMayChangeAnything(t *testing.T) {
	s := newScene(t)
	s.call("saveJob 1 A", "T").leads().done("a")
	s.call("disableJob ?", "T", undeduplicated).leads().done("x")
	s.call("saveJob 1 A", "T").leads()
}

func TestAnUnlistedCallChangesAnythingButNotBeforeItsEnd(t *testing.T) {
	s := newScene(t)
	s.call("saveJob 1 A", "T").leads().done("a")
	polled := s.call("listJobs 1", "T").leads()
	s.call("saveJob 1 A", "T").replays("a", EqualBody)
	polled.done("x")
	s.call("saveJob 1 A", "T").leads()
}

func TestAnUnlistedCallThatChangedNothingEndsNoPlainMatch(t *testing.T) {
	for name, end := range map[string]Outcome{
		"no such call": failed(404, ""), "not by POST": failed(405, ""), "token refused": {Kind: Denied}, "nothing sent": {Kind: NotSent},
	} {
		s := newScene(t)
		s.call("saveJob 1 A", "T").leads().done("a")
		s.call("listJobs 1", "T").leads().ends(end).delivered()
		if turn := s.call("saveJob 1 A", "T"); turn.d.Verdict != Replay {
			t.Errorf("%s: saveJob was executed anew", name)
		}
	}
	for name, end := range map[string]Outcome{"business error": failed(200, ""), "server error": failed(500, ""), "no whole answer": {Kind: Lost}} {
		s := newScene(t)
		s.call("saveJob 1 A", "T").leads().done("a")
		s.call("listJobs 1", "T").leads().ends(end).delivered()
		if turn := s.call("saveJob 1 A", "T"); turn.d.Verdict != Lead {
			t.Errorf("%s: saveJob was not executed anew", name)
		}
	}
}

func TestAnEqualUnlistedCallInFlightIsNoOtherChange(t *testing.T) {
	s := newScene(t)
	s.call("newSave 1 A", "T", matchBody).leads().done("a")
	other := s.call("saveJob 1 B", "T").leads()
	s.call("newSave 1 A", "T", matchBody).leads() // B may be executed before or after this
	s.call("newSave 1 A", "T", matchBody).leads() // and the call before this one is in flight beside B
	other.done("b")
}

func TestACallThatIsNotKnownIsPaidForByItsOwnLogin(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("copyJob 1", "T").leads().done("c")
	s.call("runJobOfTomorrow 1", "T").leads().done("r")
	s.refresh("R")
	s.call("runJobOfTomorrow 1", "R").replays("r", Resend)
	s.call("copyJob 1", "R").leads() // somebody wants a second copy
}

func TestACallOfUnknownSubjectIsStaleAfterAnyChange(t *testing.T) {
	s := newScene(t)
	s.call("saveJob ? A", "T").leads().done("a")
	s.call("saveJob ? A", "T").replays("a", EqualBody)
	s.call("stopInstance 3", "T").leads().done("x")
	s.call("saveJob ? A", "T").leads()
}

func TestNothingIsReplayedWhileItsThingIsBeingChanged(t *testing.T) {
	s := newScene(t)
	s.call("saveJob 1 A", "T").leads().done("a")
	other := s.call("saveJob 1 B", "T").leads()
	s.call("saveJob 1 A", "T").leads().done("a2") // B may be executed before or after this
	s.call("saveJob 1 A", "T").leads()            // and so B may be the last still
	other.done("b")
	s.call("saveJob 1 A", "T").leads()
}

func TestNobodyWaitsForACallThatAnotherOverlaps(t *testing.T) {
	s := newScene(t)
	first := s.call("saveJob 1 A", "T").leads()
	s.call("saveJob 1 B", "T").leads().done("b")
	second := s.call("saveJob 1 A", "T").leads() // whichever of the two was last
	first.done("a")
	second.done("a2")
	s.call("saveJob 1 A", "T").leads() // they overlapped each other with B in between
}

func TestAnswersThatOverlappedAChangeAreStale(t *testing.T) {
	s := newScene(t)
	first := s.call("saveJob 1 A", "T").leads()
	other := s.call("saveJob 1 B", "T").leads()
	first.done("a") // the server may have been slow with either
	other.done("b")
	s.call("saveJob 1 A", "T").leads()
}

func TestAnAnswerThatAChangeCameInBetweenIsStale(t *testing.T) {
	s := newScene(t)
	first := s.call("saveJob 1 A", "T").leads()
	s.call("saveJob 1 B", "T").leads().done("b")
	first.done("a")
	s.call("saveJob 1 A", "T").leads()
}

func TestAChangeThatEndsLateMakesWhatCameMeanwhileStale(t *testing.T) {
	s := newScene(t)
	other := s.call("saveJob 1 B", "T").leads()
	s.call("saveJob 1 A", "T").leads().done("a") // sent and answered while B is on its way
	other.ends(Outcome{Kind: Lost}).delivered()
	s.call("saveJob 1 A", "T").leads()
}

func TestACallRaisesItsOwnSubjectsOnce(t *testing.T) {
	s := newScene(t)
	s.call("copyJob 1", "T", matchBody).leads().done("8", job(8))
	s.call("copyJob 1", "T", matchBody).replays("8", EqualBody)
	s.call("deleteJob 8", "T").leads().done("x")
	s.call("copyJob 1", "T", matchBody).leads()
}
