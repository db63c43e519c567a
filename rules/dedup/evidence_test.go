package dedup

import (
	"testing"
	"time"

	"powerjob-shim/rules/access"
)

// What is evidence, and what is not.

func TestAnotherTokenAloneIsNoEvidence(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.constructor("U") // another process of the app
	s.call("runJob 1", "T").leads().done("a")
	s.call("runJob 1", "U").leads().done("b")
	s.call("runJob 1", "nobody knows it").leads().done("c")
	s.call("runJob 1", "").leads().done("d")
}

func TestAConstructorsTokenPaysForNothing(t *testing.T) {
	play(t, "a-constructors-token-pays-for-nothing")
}

func TestALoginThatCarriedATokenPaysForNothing(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T").leads().done("a")
	s.refresh("U", func(in *Issue) { in.Bare = false })
	s.call("runJob 1", "U").leads()
}

func TestATokenIsKnownByItsFirstLogin(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T").leads().done("a")
	s.refresh("T")
	s.refresh("") // an answer without a token gives none out
	s.call("runJob 1", "T").leads()
	s.call("runJob 1", "").leads()
}

func TestALoginPaysForOneResendOnly(t *testing.T) {
	play(t, "a-login-pays-for-one-resend-only")
}

func TestALoginMayBeForAnotherCallThanTheOneThatFollows(t *testing.T) {
	play(t, "a-login-may-be-for-another-call-than-the-one-that-follows")
}

func TestAMarkYoungerThanTheLoginIsNoEvidence(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	before := s.now
	s.call("runJob 1", "T").leads().done("a")
	s.refresh("R", requested(before)) // asked for before that answer was there
	s.call("runJob 1", "R").leads()
}

func TestTheNewestOfSeveralAnswersIsTheOneToRepeat(t *testing.T) {
	play(t, "the-newest-of-several-answers-is-the-one-to-repeat")
}

func TestALoginOfAnotherLineageDoesNotPayForThisOne(t *testing.T) {
	play(t, "a-login-of-another-lineage-does-not-pay-for-this-one")
}

func TestALineageGoesOnFromTokenToToken(t *testing.T) {
	play(t, "a-lineage-goes-on-from-token-to-token")
}

func TestAReadLeavesAMarkThatExplainsItsLogin(t *testing.T) {
	play(t, "a-read-leaves-a-mark-that-explains-its-login")
}

func TestARecognisedResendLeavesNoMark(t *testing.T) {
	play(t, "a-recognised-resend-leaves-no-mark")
}

func TestAnErrorOfTheServerLeavesAMarkToo(t *testing.T) {
	play(t, "an-error-of-the-server-leaves-a-mark-too")
}

func TestNoClientRepeatsWhatWasAnsweredByAnotherStatus(t *testing.T) {
	play(t, "no-client-repeats-what-was-answered-by-another-status")
}

func TestAChangeWithoutARuleIsForwardedAndLeavesAMark(t *testing.T) {
	play(t, "a-change-without-a-rule-is-forwarded-and-leaves-a-mark")
}

func TestNothingIsEvidenceForAnotherAppOrGroup(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T").leads().done("a")
	s.call("runJob 1", "T").leads().done("b")
	s.refresh("R0", loginTo("another server"))
	s.refresh("R1", func(in *Issue) { in.App = "2" })
	s.refresh("R2")
	s.call("runJob 2", "T").leads().done("c")
	s.call("runJob 1", "R2").replays("b", Resend)
	s.call("runJob 1", "R2").leads() // the logins of another group and of another app do not pay
}

func TestEvidenceIsForgottenAfterTheWindow(t *testing.T) {
	play(t, "evidence-is-forgotten-after-the-window")
}

func TestTheWindowRunsFromTheAnswer(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	c := s.call("runJob 1", "T").leads()
	s.pass(4 * window)
	c.done("a")
	s.pass(window - 10*time.Millisecond)
	s.refresh("R")
	s.call("runJob 1", "R").replays("a", Resend)
}

func TestALoginWaitsForItsResendNoLongerThanTheWindow(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T", func(c *Call) { c.Window = 4 * window }).leads().done("a")
	s.refresh("R")
	s.pass(window / 2)
	s.call("runJob 2", "R").leads().done("x") // keeps the token known
	s.pass(window / 2)
	s.call("runJob 1", "R").leads()
}

func TestATokenStaysKnownWhileItIsUsed(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T").leads().done("a")
	s.refresh("R1")
	s.call("runJob 1", "R1").replays("a", Resend)
	for range 5 {
		s.pass(window - 10*time.Millisecond)
		s.call("fetchJob 1", "R1").leads().done("")
	}
	if l := s.m.logins[access.Fingerprint("R1")]; l == nil || l.lineage != access.Fingerprint("T") {
		t.Errorf("R1 is not known for T's any more: %+v", l)
	}
}

func TestTheFirstUseOfARefreshTokenIsTold(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	if s.call("runJob 1", "T").leads().done("a").d.Refreshed {
		t.Error("a constructor's token counts as a refresh")
	}
	s.refresh("R")
	if !s.call("runJob 1", "R").replays("a", Resend).d.Refreshed {
		t.Error("a refresh token's first use is not told")
	}
	if s.call("runJob 1", "R").leads().d.Refreshed {
		t.Error("its second use is told as well")
	}
}

// A re-send whose answer did not reach its caller.

func TestAResendThatGaveUpGivesBothBack(t *testing.T) {
	play(t, "a-resend-that-gave-up-gives-both-back")
}

func TestAMarkThatWasGivenBackTakesItsOldPlace(t *testing.T) {
	play(t, "a-mark-that-was-given-back-takes-its-old-place")
}

func TestAMarkThatHasGoneIsNotGivenBack(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T").leads().done("a")
	s.refresh("R")
	c := s.call("runJob 1", "R").gets("a", Resend)
	s.pass(2 * window)
	c.hangsUp()
	s.call("runJob 1", "R").leads()
}

func TestAFirstSendThatGaveUpLeavesNoMark(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T").leads().answered("a").hangsUp().delivered()
	s.refresh("R") // for something else
	s.call("runJob 1", "R").leads()
}

// Reads are packed one by one, also where many have one key.
func TestOneOfSeveralReadsThatWasForgottenIsNoEvidence(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("fetchJob 1", "T").leads().done("")
	s.pass(window - time.Second)
	s.call("fetchJob 1", "T").leads().done("")
	s.call("fetchJob 1", "T").leads().done("")
	s.pass(2 * time.Second) // the first one's window has ended
	for _, token := range []string{"R1", "R2"} {
		s.refresh(token)
		s.call("fetchJob 1", token).leadsAs(Resend).done("")
	}
	s.refresh("R3")
	s.call("fetchJob 1", "R3").leads().done("")
}

func TestAMarkThatWasSpentBeforeItsReadWasOverIsGivenBack(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	first := s.call("fetchJob 1", "T").leads().answered("")
	s.refresh("R")
	second := s.call("fetchJob 1", "R").leadsAs(Resend)
	first.delivered()
	second.hangsUp()
	second.answered("").delivered()
	s.call("fetchJob 1", "R").leadsAs(Resend).done("")
	s.call("fetchJob 1", "R").leads().done("")
}
