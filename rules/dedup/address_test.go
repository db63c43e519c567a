package dedup

import "testing"

const (
	here  = "10.0.0.1"
	there = "10.0.0.2"
)

func TestALoginFromElsewhereIsNoEvidence(t *testing.T) {
	s := newScene(t)
	s.constructor("T", loginFrom(here))
	s.call("runJob 1", "T", from(here)).leads().done("a")
	s.refresh("R", loginFrom(there))
	s.call("runJob 1", "R", from(there)).leads().done("b")
	s.refresh("R2", loginFrom(here))
	s.call("runJob 1", "R2", from(here)).replays("a", Resend) // not the newest, but its own
}

func TestALoginFromElsewhereDoesNotPay(t *testing.T) {
	s := newScene(t)
	s.constructor("T", loginFrom(here))
	s.call("runJob 1", "T", from(here)).leads().done("a")
	s.call("runJob 1", "T", from(here)).leads().done("b")
	s.refresh("R0", loginFrom(there))
	s.refresh("R", loginFrom(here))
	s.call("runJob 1", "R", from(here)).replays("b", Resend)
	s.call("runJob 1", "R", from(here)).leads()
}

func TestWithoutAnAddressAllCouldBeOneClients(t *testing.T) {
	s := newScene(t)
	s.constructor("T", loginFrom(here))
	s.call("runJob 1", "T", from(here)).leads().done("a")
	s.refresh("R", loginFrom(there))
	s.call("runJob 1", "R").replays("a", Resend)
}

func TestATokenFromTwoAddressesShowsThatAddressesTellNothing(t *testing.T) {
	s := newScene(t)
	s.constructor("T", loginFrom(here))
	s.call("runJob 1", "T", from(here)).leads().done("a")
	s.call("fetchJob 1", "T", from(there)).leads().done("") // the same client behind another door
	s.refresh("R", loginFrom(there))
	s.call("runJob 1", "R", from(there)).replays("a", Resend)
}
