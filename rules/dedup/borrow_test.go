package dedup

import "testing"

func TestALoginThatWasAskedForLaterMayHaveBeenStoredEarlier(t *testing.T) {
	play(t, "a-login-that-was-asked-for-later-may-have-been-stored-earlier")
}

func TestOfSeveralLoginsTheFirstAfterTheAnswerPays(t *testing.T) {
	play(t, "of-several-logins-the-first-after-the-answer-pays")
}

func TestATokenOfUnknownLineageMayBeAnyClients(t *testing.T) {
	play(t, "a-token-of-unknown-lineage-may-be-any-clients")
}

func TestALineageThatWasGuessedIsNoReasonAgainstTheOnlyCallOfItsKey(t *testing.T) {
	play(t, "a-lineage-that-was-guessed-is-no-reason-against-the-only-call-of-its-key")
}

func TestALineageThatWasGuessedIsOneWhereNoThreadsAreSeen(t *testing.T) {
	play(t, "a-lineage-that-was-guessed-is-one-where-no-threads-are-seen")
}

func TestALoginDoesNotPayForATokenThatWasInUseBeforeIt(t *testing.T) {
	play(t, "a-login-does-not-pay-for-a-token-that-was-in-use-before-it")
}

func TestALoginDoesNotPayForAMarkThatIsYounger(t *testing.T) {
	play(t, "a-login-does-not-pay-for-a-mark-that-is-younger")
}

func TestALoginDoesNotPayForAMarkThatIsKnownToBeAnotherClients(t *testing.T) {
	play(t, "a-login-does-not-pay-for-a-mark-that-is-known-to-be-another-clients")
}

func TestALoginThatARefusalExplainsPaysForNoOtherToken(t *testing.T) {
	play(t, "a-login-that-a-refusal-explains-pays-for-no-other-token")
}

func TestALoginThatNobodyUsesPaysForAnEqualCall(t *testing.T) {
	play(t, "a-login-that-nobody-uses-pays-for-an-equal-call")
}

func TestALoginThatPaidForAnotherTokenPaysForItsOwnOnce(t *testing.T) {
	play(t, "a-login-that-paid-for-another-token-pays-for-its-own-once")
}

func TestALoginThatPaidForAnotherTokenWaitsNoLongerThanTheWindow(t *testing.T) {
	play(t, "a-login-that-paid-for-another-token-waits-no-longer-than-the-window")
}

func TestALoginThatPaidForItsOwnMeanwhileIsNotGivenBack(t *testing.T) {
	play(t, "a-login-that-paid-for-its-own-meanwhile-is-not-given-back")
}

func TestALoginThatIsGivenBackPaysForAnotherTokenAgain(t *testing.T) {
	play(t, "a-login-that-is-given-back-pays-for-another-token-again")
}

// What an orphan's answer leaves: it served two threads, and nobody else will
// ask for it.

func TestAnOrphansAnswerIsOwedToNobodyOnceItWasOvertaken(t *testing.T) {
	play(t, "an-orphans-answer-is-owed-to-nobody-once-it-was-overtaken")
}

func TestAnAnswerThatAnOrphanTookIsOwedToNobody(t *testing.T) {
	play(t, "an-answer-that-an-orphan-took-is-owed-to-nobody")
}

func TestAnOrphansAnswerThatWasRepeatedIsNotOvertaken(t *testing.T) {
	play(t, "an-orphans-answer-that-was-repeated-is-not-overtaken")
}
