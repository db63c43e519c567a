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
	s := crossed(t)
	other := s.call("runJob 1", "R1").leads()
	s.refresh("R2")
	other.done("b")
	s.call("runJob 1", "R2").replays("b", Overtaken)
	s.call("runJob 1", "R2").leads()
}

func TestTheOthersResendGetsTheOrphansAnswerThatIsThereAlready(t *testing.T) {
	s := crossed(t)
	s.refresh("R2")
	s.call("runJob 1", "R2").leads().done("b")
	s.call("runJob 1", "R1").replays("b", Overtaken)
	s.call("runJob 1", "R1").leads()
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
	s := crossed(t)
	s.refresh("R2")
	s.call("runJob 1", "R2").leads().done("b")
	s.call("runJob 2", "T").leads().done("c")
	s.refresh("R3")
	s.call("runJob 2", "R3").replays("c", Resend)
	s.call("runJob 1", "R3").leads() // meant, and nothing is owed to R3
}

func TestACallWithAFreshTokenIsNoOrphanWhereNothingWasTaken(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.refresh("R1")
	s.call("runJob 1", "R1").leads().done("a")
	s.refresh("R2")
	s.call("runJob 1", "R2").replays("a", Resend)
	s.refresh("R3")
	s.call("runJob 2", "R3").leads().done("b")
	s.call("runJob 2", "R1").leads() // R1 is not owed b
}

func TestAnOrphanThatFailedHasNothingToGive(t *testing.T) {
	s := crossed(t)
	s.refresh("R2")
	s.call("runJob 1", "R2").leads().ends(failed(500, "")).delivered()
	s.call("runJob 1", "R1").leads()
}

func TestWhoWaitsForAnOrphanThatFailedForwardsItself(t *testing.T) {
	s := crossed(t)
	s.refresh("R2")
	orphan := s.call("runJob 1", "R2").leads()
	late := s.call("runJob 1", "R1").waits(Overtaken)
	orphan.ends(Outcome{Kind: Denied}).delivered()
	late.resumed().is(Lead, Overtaken).done("c")
}

func TestAnOvertakenAnswerThatWasLostIsOwed(t *testing.T) {
	s := crossed(t)
	s.refresh("R2")
	s.call("runJob 1", "R2").leads().done("b")
	s.call("runJob 1", "R1").gets("b", Overtaken).hangsUp()
	s.call("runJob 1", "R1").replays("b", Retry)
	s.call("runJob 1", "R1").leads()
}

func TestAnOrphanIsOvertakenFromItsOwnAddressOnly(t *testing.T) {
	s := newScene(t)
	s.constructor("T", loginFrom(here))
	s.call("runJob 1", "T", from(here)).leads().done("a")
	s.refresh("R1", loginFrom(here))
	s.call("runJob 1", "R1", from(here)).replays("a", Resend)
	s.refresh("Q", loginFrom(there))
	s.refresh("R2", loginFrom(here))
	s.call("runJob 1", "R2", from(here)).leads().done("b")
	s.call("runJob 1", "Q", from(there)).leads()
	s.call("runJob 1", "R1", from(here)).replays("b", Overtaken)
}

func TestAnOrphanOfACheckingServerIsForItsApp(t *testing.T) {
	s := crossed(t)
	s.refresh("R2")
	s.call("runJob 1", "R2", ofApp("2")).leads().ends(accepted("b")).delivered()
	s.call("runJob 1", "R1").leads()
}
