package dedup

import "testing"

// crossed is a scene up to where a thread's re-send was answered by the mark of
// another: "a" is spent, R1 is paid, and one more execution is owed.
func crossed(t *testing.T, options ...func(*Call)) *scene {
	t.Helper()
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T", options...).leads().done("a")
	s.refresh("R1")
	s.call("runJob 1", "R1", options...).replays("a", Resend)
	return s
}

func TestAnOrphanGetsTheAnswerOfTheOthersResendThatIsThereAlready(t *testing.T) {
	play(t, "an-orphan-gets-the-answer-of-the-others-resend-that-is-there-already")
}

func TestTheOthersResendGetsTheOrphansAnswerThatIsThereAlready(t *testing.T) {
	play(t, "the-others-resend-gets-the-orphans-answer-that-is-there-already")
}

func TestAnOrphansAnswerIsForAnotherRefreshTokenOnly(t *testing.T) {
	s := crossed(t)
	s.constructor("U")
	s.refresh("R2")
	s.call("runJob 1", "R2").leads().done("b")
	s.call("runJob 1", "R2").leads() // not for itself
	s.call("runJob 1", "U").leads()
	s.call("runJob 1", "T").leads()
	s.call("runJob 1", "").leads()
}

func TestAnOrphansAnswerIsNotForALoginThatPaidForAnotherCall(t *testing.T) {
	play(t, "an-orphans-answer-is-not-for-a-login-that-paid-for-another-call")
}

func TestACallWithAFreshTokenIsNoOrphanWhereNothingWasTaken(t *testing.T) {
	play(t, "a-call-with-a-fresh-token-is-no-orphan-where-nothing-was-taken")
}

func TestAnOrphanThatFailedHasNothingToGive(t *testing.T) {
	play(t, "an-orphan-that-failed-has-nothing-to-give")
}

func TestWhoWaitsForAnOrphanThatFailedForwardsItself(t *testing.T) {
	play(t, "who-waits-for-an-orphan-that-failed-forwards-itself")
}

func TestAnOvertakenAnswerThatWasLostIsOwed(t *testing.T) {
	play(t, "an-overtaken-answer-that-was-lost-is-owed")
}

func TestAnOrphanIsOvertakenFromItsOwnAddressOnly(t *testing.T) {
	play(t, "an-orphan-is-overtaken-from-its-own-address-only")
}

func TestAnOrphanOfACheckingServerIsForItsApp(t *testing.T) {
	s := crossed(t)
	s.refresh("R2")
	s.call("runJob 1", "R2", ofApp("2")).leads().ends(accepted("b")).delivered()
	s.call("runJob 1", "R1").leads()
}
