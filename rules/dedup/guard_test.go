package dedup

import (
	"testing"

	"powerjob-shim/rules/openapi"
)

func TestEqualBodiesWithinTheWindowAreOneCall(t *testing.T) {
	play(t, "equal-bodies-within-the-window-are-one-call")
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
	play(t, "an-equal-call-in-flight-is-waited-for")
}

func TestUnderMatchResendEqualCallsAreExecuted(t *testing.T) {
	play(t, "under-match-resend-equal-calls-are-executed")
}

func TestAnAnswerUnderMatchResendIsNotForMatchBody(t *testing.T) {
	s := newScene(t)
	s.call("saveJob 1 A", "T", matchResend).leads().done("a")
	s.call("saveJob 1 A", "T").leads()
}

func TestAPlainReplayLeavesAMark(t *testing.T) {
	play(t, "a-plain-replay-leaves-a-mark")
}

func TestACallerWhoGaveUpWaitingIsKnownAgain(t *testing.T) {
	play(t, "a-caller-who-gave-up-waiting-is-known-again")
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
	play(t, "save-a-save-b-save-a-with-late-resends")
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
	play(t, "create-delete-create")
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
	play(t, "a-create-whose-answer-names-no-id-is-stale-after-any-change")
}

func TestSaveDeleteSave(t *testing.T) {
	play(t, "save-delete-save")
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
	play(t, "a-change-of-unknown-subject-may-change-anything")
}

func TestAnUnlistedCallChangesAnythingButNotBeforeItsEnd(t *testing.T) {
	play(t, "an-unlisted-call-changes-anything-but-not-before-its-end")
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
	play(t, "a-call-that-is-not-known-is-paid-for-by-its-own-login")
}

func TestACallOfUnknownSubjectIsStaleAfterAnyChange(t *testing.T) {
	play(t, "a-call-of-unknown-subject-is-stale-after-any-change")
}

func TestNothingIsReplayedWhileItsThingIsBeingChanged(t *testing.T) {
	play(t, "nothing-is-replayed-while-its-thing-is-being-changed")
}

func TestNobodyWaitsForACallThatAnotherOverlaps(t *testing.T) {
	play(t, "nobody-waits-for-a-call-that-another-overlaps")
}

func TestAnswersThatOverlappedAChangeAreStale(t *testing.T) {
	play(t, "answers-that-overlapped-a-change-are-stale")
}

func TestAnAnswerThatAChangeCameInBetweenIsStale(t *testing.T) {
	play(t, "an-answer-that-a-change-came-in-between-is-stale")
}

func TestAChangeThatEndsLateMakesWhatCameMeanwhileStale(t *testing.T) {
	play(t, "a-change-that-ends-late-makes-what-came-meanwhile-stale")
}

func TestACallRaisesItsOwnSubjectsOnce(t *testing.T) {
	s := newScene(t)
	s.call("copyJob 1", "T", matchBody).leads().done("8", job(8))
	s.call("copyJob 1", "T", matchBody).replays("8", EqualBody)
	s.call("deleteJob 8", "T").leads().done("x")
	s.call("copyJob 1", "T", matchBody).leads()
}
