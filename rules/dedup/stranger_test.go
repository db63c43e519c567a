package dedup

import (
	"fmt"
	"testing"
	"time"
)

// ours is for a token that was given out long ago.
func ours(c *Call) { c.Issued = true }

func (s *scene) stranger(what, token string, options ...func(*Call)) {
	s.t.Helper()
	s.call(what, token, append(options, undeduplicated)...).ends(Outcome{Kind: Denied}).delivered()
}

func TestAStrangersRefusalDoesNotExplainALoginOfAKnownClient(t *testing.T) {
	for name, stranger := range map[string]string{"another call": "disableJob 9", "the same call": "runJob 1"} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.constructor("T")
			for i, tokens := range [][2]string{{"T", "R1"}, {"R1", "R2"}, {"R2", "R3"}} {
				first := s.call("runJob 1", tokens[0])
				first.leads().done("a")
				s.stranger(stranger, "bogus")
				s.refresh(tokens[1])
				if again := s.call("runJob 1", tokens[1]); again.d.Verdict != Replay {
					t.Errorf("re-send %d: got %s", i, verdicts[again.d.Verdict])
				} else {
					again.delivered()
				}
			}
		})
	}
}

// A client that calls every three seconds is known for as long as it calls, though
// its constructor's token, which it carries no more, is forgotten.
func TestAStrangerSteersNothingHoweverLongAClientRuns(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	token := "T"
	for i := range 10 {
		s.call("runJob 1", token).leads().done("a")
		s.stranger("runJob 1", "bogus")
		token = fmt.Sprint("R", i)
		s.refresh(token)
		s.call("runJob 1", token).replays("a", Resend)
		s.pass(3 * time.Second)
	}
}

// What a stranger sends can look exactly as a client does that is older than the
// record: then what may be a new call is executed. Below, every event that is
// seen is the same, and only the last call's verdict can be right for one of both.
func TestWhereThreadsShareAClientARefusalMayBeAStrangersOrAnOlderClients(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("disableJob 1", "T").leads().done("a") // by one thread of a client
	// A stranger's; or an older client's, whose token V was given out before.
	s.stranger("saveJob 1", "V")
	// The first thread's, whose header was lost; or the older client's.
	s.refresh("R")
	// Another thread's first call, with the token that both share; or the older
	// client's re-send.
	s.call("saveJob 1", "R").leadsAs(AfterFalse).done("b")
	// The first thread's re-send; or a new call of the older client, which must
	// not be lost.
	s.call("disableJob 1", "R").leadsAs(First).done("c")
}

func TestATokenThatWasGivenOutLongAgoIsAKnownClients(t *testing.T) {
	s := newScene(t)
	s.call("runJob 1", "T", ours).leads().done("a")
	s.stranger("disableJob 9", "bogus")
	s.refresh("R")
	s.call("runJob 1", "R", ours).replays("a", Resend)
}

func TestARefusalExplainsTheLoginOfAClientThatIsOlderThanTheRecord(t *testing.T) {
	s := newScene(t)
	s.call("runJob 1", "U").leads().done("a") // of another client that is
	s.stranger("runJob 1", "V")
	s.refresh("R")
	s.call("runJob 1", "R").leadsAs(AfterFalse).done("b")
}

func TestStrangersTogetherExplainOneLogin(t *testing.T) {
	s := newScene(t)
	s.call("runJob 1", "U").leads().done("a")
	s.call("runJob 1", "U").leads().done("b")
	for range 5 {
		s.stranger("disableJob 9", "bogus")
	}
	s.refresh("R1")
	s.refresh("R2")
	s.call("runJob 1", "R1").replays("b", Resend)
}

func TestARefusalWithoutATokenLeavesNoMark(t *testing.T) {
	s := newScene(t)
	s.stranger("runJob 1", "")
	if n := s.m.Stats().Entries; n != 0 {
		t.Errorf("%d entries", n)
	}
}

func TestAStrangersTokenDoesNotShowThatAddressesTellNothing(t *testing.T) {
	s := newScene(t)
	s.constructor("T", loginFrom(here))
	s.call("runJob 1", "T", from(here)).leads().done("a")
	s.stranger("disableJob 9", "bogus", from("10.9.0.1"))
	s.stranger("disableJob 9", "bogus", from("10.9.0.2"))
	s.refresh("S", loginFrom(there))
	s.call("runJob 1", "S", from(there)).leads().done("b")
	s.refresh("R", loginFrom(here))
	s.call("runJob 1", "R", from(here)).replays("a", Resend)
}
