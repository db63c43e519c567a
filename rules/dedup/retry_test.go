package dedup

import (
	"testing"
	"time"
)

func TestARetryInFlightWaitsForTheFirstCallsAnswer(t *testing.T) {
	s := newScene(t)
	first := s.call("runJob 1", "T").leads().hangsUp()
	retry := s.call("runJob 1", "T").waits(Retry)
	if retry.resumed(); retry.d.Verdict != Wait {
		t.Fatalf("with the first call in flight: got %s, want wait", verdicts[retry.d.Verdict])
	}
	first.done("a")
	retry.resumed().replays("a", Retry)
	if !retry.d.Waited {
		t.Error("the answer was waited for, and this is not told")
	}
}

func TestARetryIsGivenAnAnswerThatCameMeanwhile(t *testing.T) {
	s := newScene(t)
	s.call("runJob 1", "T").leads().hangsUp().done("a")
	retry := s.call("runJob 1", "T").replays("a", Retry)
	if retry.d.Waited {
		t.Error("nobody had to wait")
	}
}

func TestARetryIsGivenAnAnswerThatWasCutOff(t *testing.T) {
	s := newScene(t)
	s.call("runJob 1", "T").leads().answered("a").hangsUp().delivered()
	s.call("runJob 1", "T").replays("a", Retry)
}

func TestARetryIsGivenTheAnswerOnce(t *testing.T) {
	play(t, "a-retry-is-given-the-answer-once")
}

func TestARetryThatGivesUpAsWellIsFollowedByAnother(t *testing.T) {
	play(t, "a-retry-that-gives-up-as-well-is-followed-by-another")
}

func TestARetryCarriesTheSameToken(t *testing.T) {
	s := newScene(t)
	s.call("runJob 1", "T").leads().hangsUp()
	s.call("runJob 1", "U").leads()
	s.call("runJob 1", "").leads()
}

func TestACallerWhoStaysIsNotRetried(t *testing.T) {
	play(t, "a-caller-who-stays-is-not-retried")
}

func TestWithoutTokensTheAddressTellsTheCaller(t *testing.T) {
	s := newScene(t)
	s.call("runJob 1", "", from(here)).leads().hangsUp().done("a")
	s.call("runJob 1", "", from(there)).leads()
	s.call("runJob 1", "").leads()
	s.call("runJob 1", "", from(here)).replays("a", Retry)
}

func TestWithNeitherTokenNorAddressNobodyIsKnownAgain(t *testing.T) {
	s := newScene(t)
	s.call("runJob 1", "").leads().hangsUp().done("a")
	s.call("runJob 1", "").leads()
}

func TestARetryIsANewFirstSend(t *testing.T) {
	play(t, "a-retry-is-a-new-first-send")
}

func TestTheRetryOfAResendLeavesNoMark(t *testing.T) {
	play(t, "the-retry-of-a-resend-leaves-no-mark")
}

func TestARetryIsKnownWhateverWasChangedMeanwhile(t *testing.T) {
	play(t, "a-retry-is-known-whatever-was-changed-meanwhile")
}

func TestTheRetryOfACallThatWasLostIsExecuted(t *testing.T) {
	s := newScene(t)
	first := s.call("runJob 1", "T").leads().hangsUp()
	waits := s.call("runJob 1", "T").waits(Retry)
	first.ends(Outcome{Kind: Lost}).delivered()
	waits.resumed().fails(Lost)
	s.call("runJob 1", "T").leads()
}

func TestTheRetryAfterALongTimeIsANewCall(t *testing.T) {
	play(t, "the-retry-after-a-long-time-is-a-new-call")
}

func TestACallerHangsUpOnlyOnce(t *testing.T) {
	s := newScene(t)
	first := s.call("runJob 1", "T").leads().hangsUp().hangsUp()
	s.call("runJob 1", "T").waits(Retry)
	s.call("runJob 1", "T").leads() // only one caller was owed an answer
	first.done("a").hangsUp()
	s.pass(time.Millisecond)
	s.call("runJob 1", "T").leads()
}
