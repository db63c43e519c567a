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
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T").leads().done("a")
	s.constructor("U") // logs in without a token, as a refresh does, and then presents it
	s.call("runJob 1", "U").leads().done("b")
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
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T").leads().done("a")
	s.call("runJob 1", "T").leads().done("b")
	s.refresh("R")
	s.call("runJob 1", "R").replays("b", Resend)
	s.call("runJob 1", "R").leads() // there is a mark left, but nothing that pays
}

func TestALoginMayBeForAnotherCallThanTheOneThatFollows(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T").leads().done("a")
	s.refresh("R")
	s.call("runJob 2", "R").leads().done("b") // another thread is first with the new token
	s.call("runJob 1", "R").replays("a", Resend)
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
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T").leads().done("a")
	s.call("runJob 1", "T").leads().done("b")
	s.refresh("R1")
	s.call("runJob 1", "R1").replays("b", Resend)
	s.refresh("R2")
	s.call("runJob 1", "R2").replays("a", Resend)
}

func TestALoginOfAnotherLineageDoesNotPayForThisOne(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.constructor("U") // another process
	s.call("runJob 1", "T").leads().done("a")
	s.call("runJob 2", "U").leads().done("b")
	s.refresh("R1")                               // for one of them
	s.refresh("R2")                               // for the other
	s.call("runJob 1", "R2").replays("a", Resend) // so R2 is of T's lineage
	s.call("runJob 2", "R2").leads()              // b was U's: it cannot be a re-send with R2
	s.call("runJob 2", "R1").replays("b", Resend) // this is
}

func TestALineageGoesOnFromTokenToToken(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T").leads().done("a")
	s.refresh("R1")
	s.call("runJob 1", "R1").replays("a", Resend)
	s.call("runJob 2", "T").leads().done("b")  // one thread still has T,
	s.call("runJob 3", "R1").leads().done("c") // another has R1
	s.refresh("R2")
	s.refresh("R3")
	s.call("runJob 3", "R3").replays("c", Resend)
	s.call("runJob 2", "R3").replays("b", Resend)
}

func TestAReadLeavesAMarkThatExplainsItsLogin(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T").leads().done("a")
	s.call("fetchJob 1", "T").leads().done("") // this is the answer that lacked the header
	s.refresh("R")
	s.call("fetchJob 1", "R").leadsAs(Resend).done("")
	s.call("runJob 1", "R").leads() // R is paid
}

func TestARecognisedResendLeavesNoMark(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("fetchJob 1", "T").leads().done("")
	s.refresh("R1")
	s.call("fetchJob 1", "R1").leadsAs(Resend).done("")
	s.refresh("R2")
	s.call("fetchJob 1", "R2").leads() // no mark is older than R2
}

func TestAnErrorOfTheServerLeavesAMarkToo(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T").leads().ends(failed(200, `{"success":false}`)).delivered()
	s.refresh("R")
	s.call("runJob 1", "R").leadsAs(Resend).done("a") // not kept: it has to be asked again
	s.call("runJob 1", "R").leads()
}

func TestNoClientRepeatsWhatWasAnsweredByAnotherStatus(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T").leads().ends(failed(500, "")).delivered()
	s.refresh("R")
	s.call("runJob 1", "R").leads()
}

func TestAChangeWithoutARuleIsForwardedAndLeavesAMark(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("disableJob 1", "T", undeduplicated).leads().done("a")
	s.refresh("R")
	s.call("disableJob 1", "R", undeduplicated).leadsAs(Resend).done("b")
	s.call("disableJob 1", "R").leads()
}

func TestNothingIsEvidenceForAnotherAppOrGroup(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T").leads().done("a")
	s.call("runJob 1", "T").leads().done("b")
	s.refresh("R1", func(in *Issue) { in.App = "2" })
	s.refresh("R2")
	s.call("runJob 2", "T").leads().done("c")
	s.call("runJob 1", "R2").replays("b", Resend)
	s.call("runJob 1", "R2").leads() // the login of another app does not pay
}

func TestEvidenceIsForgottenAfterTheWindow(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T").leads().done("a")
	s.pass(window)
	s.refresh("R")
	s.call("runJob 1", "R").leads()
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
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T").leads().done("a")
	s.refresh("R")
	s.call("runJob 1", "R").gets("a", Resend).hangsUp().delivered()
	s.call("runJob 1", "R").replays("a", Resend) // the same caller again
	s.call("runJob 1", "R").leads()
}

func TestAMarkThatWasGivenBackTakesItsOldPlace(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T").leads().done("a")
	s.call("runJob 1", "T").leads().done("b")
	s.refresh("R1")
	s.refresh("R2")
	second := s.call("runJob 1", "R2").gets("b", Resend)
	first := s.call("runJob 1", "R1").gets("a", Resend)
	second.hangsUp()
	first.hangsUp()
	s.call("runJob 1", "R1").replays("b", Resend)
	s.call("runJob 1", "R2").replays("a", Resend)
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
