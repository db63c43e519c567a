package dedup

import "testing"

func TestALoginThatWasAskedForLaterMayHaveBeenStoredEarlier(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T").leads().done("a")
	s.call("runJob 2", "T").leads().done("b")
	early := s.now
	s.refresh("R2")
	s.refresh("R1", requested(early))
	s.call("runJob 1", "R1").replays("a", Resend)
	s.call("runJob 2", "R1").replays("b", Resend)
}

func TestOfSeveralLoginsTheFirstAfterTheAnswerPays(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T").leads().done("a")
	s.call("runJob 3", "T").leads().done("c")
	s.refresh("R1")
	s.call("runJob 2", "T").leads().done("b")
	s.refresh("R2")
	s.refresh("R3")
	s.call("runJob 3", "R3").replays("c", Resend)
	s.call("runJob 1", "R3").replays("a", Resend) // R1 pays, which is of no use to b
	s.call("runJob 2", "R1").replays("b", Resend) // R2 pays
}

func TestATokenOfUnknownLineageMayBeAnyClients(t *testing.T) {
	s := crossed(t)
	other := s.call("runJob 1", "R1").leads()
	s.refresh("R3")
	s.call("runJob 2", "T").leads().done("c")
	s.refresh("R2")
	other.done("b")
	s.call("runJob 1", "R2").replays("b", Overtaken)
	s.call("runJob 2", "R2").replays("c", Resend) // R3 pays
}

func TestALineageThatWasGuessedIsNoReasonAgainstTheOnlyCallOfItsKey(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.constructor("U")
	s.call("runJob 4", "T").leads().done("x")
	s.call("runJob 5", "T").leads().done("y")
	s.refresh("P1")
	s.refresh("P2")
	s.call("runJob 4", "P2").replays("x", Resend)
	s.call("runJob 5", "P2").replays("y", Resend) // P1 pays: T's threads overwrite each other's tokens
	s.call("runJob 1", "T").leads().done("a")
	s.call("runJob 1", "U").leads().done("b")
	s.call("runJob 2", "T").leads().done("c")
	s.refresh("R2")
	s.refresh("R1")
	s.call("runJob 1", "R1").replays("b", Resend) // the newer one, which is not T's
	s.call("runJob 2", "R1").replays("c", Resend) // R2 pays
}

func TestALineageThatWasGuessedIsOneWhereNoThreadsAreSeen(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.constructor("U")
	s.call("runJob 1", "T").leads().done("a")
	s.call("runJob 1", "U").leads().done("b")
	s.refresh("R1")
	s.refresh("Q1")
	s.call("runJob 1", "R1").replays("b", Resend) // both lineages are guessed, and wrong
	s.call("runJob 1", "Q1").replays("a", Resend)
	s.call("runJob 2", "R1").leads().done("c")
	s.call("runJob 3", "Q1").leads().done("d")
	s.refresh("R2")
	s.refresh("Q2")
	s.call("runJob 3", "Q2").replays("d", Resend)
	s.call("runJob 2", "Q2").leads() // a first call of U's client, while T's is about to repeat its own
	s.call("runJob 2", "R2").replays("c", Resend)
}

func TestALoginDoesNotPayForATokenThatWasInUseBeforeIt(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T").leads().done("a")
	s.call("runJob 2", "T").leads().done("b")
	s.refresh("R1")
	s.call("runJob 1", "R1").replays("a", Resend)
	s.refresh("R2")
	s.call("runJob 2", "R1").leads() // R2's thread finds R2 in the field, or a later one
}

func TestALoginDoesNotPayForAMarkThatIsYounger(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T").leads().done("a")
	s.refresh("R2")
	s.refresh("R1")
	s.call("runJob 1", "R1").replays("a", Resend)
	s.call("runJob 2", "T").leads().done("b")
	s.call("runJob 2", "R1").leads()
}

func TestALoginDoesNotPayForAMarkThatIsKnownToBeAnotherClients(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.constructor("U")
	s.call("runJob 1", "T").leads().done("a")
	s.call("runJob 2", "U").leads().done("b")
	s.refresh("Q")
	s.refresh("R")
	s.call("runJob 1", "R").replays("a", Resend)
	s.call("runJob 2", "R").leads()
	s.call("runJob 2", "Q").replays("b", Resend)
}

func TestALoginThatARefusalExplainsPaysForNoOtherToken(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T").leads().done("a")
	s.call("runJob 2", "T").leads().ends(denied).delivered()
	early := s.now
	s.call("runJob 3", "T").leads().ends(denied).delivered()
	s.refresh("R2")
	s.refresh("R1", requested(early))
	s.call("runJob 2", "R1").leadsAs(AfterFalse).done("b")
	s.call("runJob 1", "R1").leads() // R2 is for runJob 3
	s.call("runJob 3", "R1").leadsAs(AfterFalse)
}

// A limit of docs/promise.md: Q's answer was lost, and the client logged in again.
func TestALoginThatNobodyUsesPaysForAnEqualCall(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T").leads().done("a") // its header arrived
	s.call("runJob 2", "T").leads().ends(denied).delivered()
	s.refresh("Q")
	s.refresh("R")
	s.call("runJob 2", "R").leadsAs(AfterFalse).done("b")
	s.call("runJob 1", "R").replays("a", Resend)
	s.call("runJob 1", "R").leads()
}

// lent is a scene of two clients, T's and U's, in which Q, a login of U's, has
// paid for a re-send of T's that would have been another login's. That re-send
// has its answer, but not in full. "c" and "d" are U's unspent marks.
func lent(t *testing.T) (*scene, *turn) {
	t.Helper()
	s := newScene(t)
	s.constructor("T")
	s.constructor("U")
	s.call("runJob 1", "T").leads().done("a")
	s.call("runJob 2", "T").leads().done("b")
	s.call("runJob 3", "U", keptLonger).leads().done("c")
	s.call("runJob 4", "U", keptLonger).leads().done("d")
	s.refresh("Q")
	s.refresh("R")
	s.call("runJob 1", "R").replays("a", Resend)
	return s, s.call("runJob 2", "R").gets("b", Resend)
}

func keptLonger(c *Call) { c.Window = 2 * window }

func TestALoginThatPaidForAnotherTokenPaysForItsOwnOnce(t *testing.T) {
	s, other := lent(t)
	other.delivered()
	s.call("runJob 3", "Q").replays("c", Resend)
	s.call("runJob 4", "Q").leads()
}

func TestALoginThatPaidForAnotherTokenWaitsNoLongerThanTheWindow(t *testing.T) {
	s, other := lent(t)
	other.delivered()
	s.pass(window / 2)
	s.call("runJob 5", "Q").leads() // it stays known
	s.pass(window / 2)
	s.call("runJob 3", "Q").leads()
}

func TestALoginThatPaidForItsOwnMeanwhileIsNotGivenBack(t *testing.T) {
	s, other := lent(t)
	s.call("runJob 3", "Q").replays("c", Resend)
	other.hangsUp()
	s.call("runJob 4", "Q").leads()
}

func TestALoginThatIsGivenBackPaysForAnotherTokenAgain(t *testing.T) {
	s, other := lent(t)
	other.hangsUp()
	s.call("runJob 2", "R").replays("b", Resend)
	s.call("runJob 3", "Q").replays("c", Resend)
}

// What an orphan's answer leaves: it served two threads, and nobody else will
// ask for it.

func TestAnOrphansAnswerIsOwedToNobodyOnceItWasOvertaken(t *testing.T) {
	s := crossed(t)
	s.refresh("R2")
	s.call("runJob 1", "R2").leads().done("b")
	s.call("runJob 1", "R1").replays("b", Overtaken)
	s.refresh("R3") // for something else
	s.call("runJob 1", "R3").leads()
}

func TestAnAnswerThatAnOrphanTookIsOwedToNobody(t *testing.T) {
	s := crossed(t)
	other := s.call("runJob 1", "R1").leads()
	s.refresh("R2")
	other.done("b")
	s.call("runJob 1", "R2").replays("b", Overtaken)
	s.refresh("R3") // for something else
	s.call("runJob 1", "R3").leads()
}

func TestAnOrphansAnswerThatWasRepeatedIsNotOvertaken(t *testing.T) {
	s := crossed(t)
	s.refresh("R2")
	s.call("runJob 1", "R2").leads().done("b")
	s.refresh("R3")
	s.call("runJob 1", "R3").replays("b", Resend)
	s.call("runJob 1", "R1").leads()
}
