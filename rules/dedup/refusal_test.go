package dedup

import "testing"

var denied = Outcome{Kind: Denied}

func TestTheResendOfARefusedCallIsItsFirstExecution(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T").leads().ends(denied).delivered()
	s.refresh("R")
	s.call("runJob 1", "R").leadsAs(AfterFalse).done("a")
	s.call("runJob 1", "R").leads() // R is paid
}

func TestARefusedCallComesBeforeAnAnswerThatIsNewer(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("saveJob 1 A", "T").leads().ends(denied).delivered()
	s.call("saveJob 1 A", "T").leads().done("a")
	s.refresh("R1")
	s.refresh("R2") // for the one and the other
	s.call("saveJob 1 A", "R2").leadsAs(AfterFalse).done("b")
	s.call("saveJob 1 A", "R2").replays("a", Resend)
}

func TestALoginThatARefusalExplainsIsNoEvidenceForAnotherCall(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T").leads().done("a")
	s.call("runJob 2", "T").leads().ends(denied).delivered()
	s.refresh("R")
	s.call("runJob 1", "R").leads() // a deliberate second one, by a thread that shares the token
	s.call("runJob 2", "R").leadsAs(AfterFalse)
}

func TestMoreLoginsThanRefusalsAreEvidenceAgain(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T").leads().done("a")
	s.call("runJob 2", "T").leads().ends(denied).delivered()
	s.refresh("R1")
	s.refresh("R2")
	s.call("runJob 1", "R2").replays("a", Resend)
	s.call("runJob 2", "R2").leadsAs(AfterFalse)
}

func TestARefusalThatWasRepeatedExplainsNoMoreLogins(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 2", "T").leads().ends(denied).delivered()
	s.refresh("R1")
	s.call("runJob 2", "R1").leadsAs(AfterFalse).done("b")
	s.call("runJob 1", "R1").leads().done("a")
	s.refresh("R2")
	s.call("runJob 1", "R2").replays("a", Resend)
}

func TestARefusalFromElsewhereExplainsNothing(t *testing.T) {
	s := newScene(t)
	s.constructor("T", loginFrom(here))
	s.constructor("U", loginFrom(there))
	s.call("runJob 1", "T", from(here)).leads().done("a")
	s.call("runJob 2", "U", from(there)).leads().ends(denied).delivered()
	s.refresh("R", loginFrom(here))
	s.call("runJob 1", "R", from(here)).replays("a", Resend)
}

func TestALaterRefusalDoesNotExplainALogin(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T").leads().done("a")
	s.refresh("R")
	s.call("runJob 2", "T").leads().ends(denied).delivered()
	s.call("runJob 1", "R").replays("a", Resend)
}

func TestARefusedReadExplainsItsLogin(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T").leads().done("a")
	s.call("fetchJob 1", "T").leads().ends(denied).delivered()
	s.refresh("R")
	s.call("runJob 1", "R").leads()
	s.call("fetchJob 1", "R").leadsAs(AfterFalse)
}

func TestARefusalWhoseResendGaveUpExplainsItsLoginAgain(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("runJob 1", "T").leads().done("a")
	s.call("fetchJob 1", "T").leads().ends(denied).delivered()
	s.refresh("R")
	s.call("fetchJob 1", "R").leadsAs(AfterFalse).hangsUp()
	s.call("runJob 1", "R").leads()
	s.call("fetchJob 1", "R").leadsAs(AfterFalse)
}
