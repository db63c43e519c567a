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
	s := newScene(t)
	s.call("runJob 1", "T").leads().hangsUp().done("a")
	s.call("runJob 1", "T").replays("a", Retry)
	s.call("runJob 1", "T").leads()
}

func TestARetryThatGivesUpAsWellIsFollowedByAnother(t *testing.T) {
	s := newScene(t)
	first := s.call("runJob 1", "T").leads().hangsUp()
	s.call("runJob 1", "T").waits(Retry).hangsUp()
	s.call("runJob 1", "T").waits(Retry).hangsUp()
	first.done("a")
	s.call("runJob 1", "T").gets("a", Retry).hangsUp()
	s.call("runJob 1", "T").replays("a", Retry)
	s.call("runJob 1", "T").leads()
}

func TestARetryCarriesTheSameToken(t *testing.T) {
	s := newScene(t)
	s.call("runJob 1", "T").leads().hangsUp()
	s.call("runJob 1", "U").leads()
	s.call("runJob 1", "").leads()
}

func TestACallerWhoStaysIsNotRetried(t *testing.T) {
	s := newScene(t)
	s.call("runJob 1", "T").leads()
	s.call("runJob 1", "T").leads()
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
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T").leads().hangsUp().done("a")
	s.call("runJob 1", "T").replays("a", Retry)
	s.refresh("R") // and the retry's answer may be without the header
	s.call("runJob 1", "R").replays("a", Resend)
	s.call("runJob 1", "R").leads()
}

func TestTheRetryOfAResendLeavesNoMark(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T").leads().ends(failed(200, `{"success":false}`)).delivered()
	s.refresh("R1")
	s.call("runJob 1", "R1").leadsAs(Resend).hangsUp().done("a")
	s.call("runJob 1", "R1").replays("a", Retry)
	s.refresh("R2") // for another call
	s.call("runJob 1", "R2").leads()
}

func TestARetryIsKnownWhateverWasChangedMeanwhile(t *testing.T) {
	s := newScene(t)
	s.call("disableJob 1", "T").leads().hangsUp().done("a")
	s.call("enableJob 1", "T").leads().done("b")
	s.call("disableJob 1", "T").replays("a", Retry)
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
	s := newScene(t)
	s.call("runJob 1", "T").leads().hangsUp().done("a")
	s.pass(window)
	s.call("runJob 1", "T").leads()
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
