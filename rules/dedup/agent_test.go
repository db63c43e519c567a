package dedup

import (
	"testing"

	"powerjob-shim/rules/openapi"
)

const (
	java   = "okhttp/3.14.9"
	script = "python-requests/2.32.5"
)

func by(agent string) func(*Call)       { return func(c *Call) { c.Agent = openapi.AgentOf(agent) } }
func loginBy(agent string) func(*Issue) { return func(in *Issue) { in.Agent = openapi.AgentOf(agent) } }

// passed is an answer that goes out with true.
func passed(answer string) Outcome {
	out := kept(answer)
	out.Passed = true
	return out
}

func TestTwoScriptsThatDoTheSameAreTwo(t *testing.T) {
	s := newScene(t)
	s.refresh("T1", loginBy(script)) // one login for each client object, and no second one
	s.call("runJob 1", "T1", by(script)).leads().ends(passed("5")).delivered()
	s.refresh("T2", loginBy(script))
	s.call("runJob 1", "T2", by(script)).leads().ends(passed("6")).delivered()
}

func TestAScriptThatGotNoHeaderRepeatsItsCall(t *testing.T) {
	s := newScene(t)
	s.refresh("T1", loginBy(script))
	s.call("runJob 1", "T1", by(script)).leads().done("5")
	s.refresh("T2", loginBy(script))
	s.call("runJob 1", "T2", by(script)).replays("5", Resend)
}

func TestTheJavaClientRepeatsItsCallAlthoughTheAnswerWentOutWithTheHeader(t *testing.T) {
	for _, agent := range []string{java, "OkHttp/4.12", ""} {
		s := newScene(t)
		s.constructor("T", loginBy(agent))
		s.call("runJob 1", "T", by(agent)).leads().ends(passed("5")).delivered()
		s.refresh("R", loginBy(agent))
		s.call("runJob 1", "R", by(agent)).replays("5", Resend)
	}
}

func TestMarkLoginAndCallAreOfOneMake(t *testing.T) {
	for _, c := range []struct {
		first, login, second string
		repeats              bool
	}{
		{java, java, java, true},
		{java, "okhttp/4.12", "okhttp/4.12", false},
		{java, java, script, false},
		{script, java, java, false},
		{"", java, java, true}, // a hop took it away: as if nobody had one
		{java, "", java, true},
		{java, java, "", true},
	} {
		s := newScene(t)
		s.constructor("T", loginBy(c.first))
		s.call("runJob 1", "T", by(c.first)).leads().done("5")
		s.refresh("R", loginBy(c.login))
		if turn := s.call("runJob 1", "R", by(c.second)); (turn.d.Verdict == Replay) != c.repeats {
			t.Errorf("%+v: got %s", c, verdicts[turn.d.Verdict])
		}
	}
}

func TestALoginOfAnotherMakeDoesNotPay(t *testing.T) {
	s := newScene(t)
	s.constructor("T", loginBy(java))
	s.call("runJob 1", "T", by(java)).leads().done("5")
	s.call("runJob 1", "T", by(java)).leads().done("6")
	s.refresh("S", loginBy(script))
	s.refresh("R", loginBy(java))
	s.call("runJob 1", "R", by(java)).replays("6", Resend)
	s.call("runJob 1", "R", by(java)).leads() // the script has no login of its own
}

func TestAReplayIsAsGoodAsTheAnswerThatItRepeats(t *testing.T) {
	s := newScene(t)
	s.refresh("T1", loginBy(script))
	s.call("saveJob 1 A", "T1", by(script)).leads().ends(passed("a")).delivered()
	s.refresh("T2", loginBy(script))
	s.call("saveJob 1 A", "T2", by(script)).replays("a", EqualBody) // not a re-send, and it leaves a mark
	s.refresh("T3", loginBy(script))
	s.call("disableJob 1", "T3", by(script)).leads().ends(passed("x")).delivered()
	s.call("saveJob 1 A", "T3", by(script)).leads()
}

func TestOnlyTheJavaClientsLoginsShowAsRefreshes(t *testing.T) {
	s := newScene(t)
	for agent, want := range map[string]bool{java: true, "": true, script: false} {
		s.refresh("R of "+agent, loginBy(agent))
		if got := s.call("fetchJob 1", "R of "+agent, by(agent)).leads().d.Refreshed; got != want {
			t.Errorf("%q: got %v", agent, got)
		}
	}
}
