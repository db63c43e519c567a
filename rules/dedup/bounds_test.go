package dedup

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"powerjob-shim/rules/access"
	"powerjob-shim/rules/dedup/archive"
)

func (s *scene) holds(want Stats) {
	s.t.Helper()
	if got := s.m.Stats(); got != want {
		s.t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestTheEntryThatWouldExpireFirstGoesFirst(t *testing.T) {
	s := newScene(t, Limits{Entries: 3 + 2}) // two for the tokens
	s.call("saveJob 1 A", "T", func(c *Call) { c.Window = 10 * window }).leads().done("1")
	s.call("saveJob 2 A", "T").leads().done("2")
	s.call("saveJob 3 A", "U", func(c *Call) { c.Window = 10 * window }).leads().done("3")
	s.holds(Stats{Entries: 5, Bytes: 5*entryBytes + 3})
	s.call("saveJob 4 A", "U", func(c *Call) { c.Window = 10 * window }).leads().done("4")
	s.holds(Stats{Entries: 5, Bytes: 5*entryBytes + 3, Evicted: 1})
	s.call("saveJob 1 A", "T").replays("1", EqualBody)
	s.call("saveJob 2 A", "T").leads()
}

func TestTheHeaderOfAnAnswerCounts(t *testing.T) {
	s := newScene(t, Limits{Bytes: 3 * entryBytes})
	answer := kept("1")
	answer.Answer.Header = archive.PackHeader(map[string][]string{"X-Large": {strings.Repeat("x", 1000)}}, every)
	first := s.call("saveJob 1 A", "T").leads()
	first.ends(answer)
	first.delivered()
	s.call("saveJob 2 A", "T").leads().done("2")
	if got := s.m.Stats(); got.Evicted == 0 || got.Bytes > 3*entryBytes {
		t.Errorf("an answer with a header of 1,000 bytes is kept beside another in %d bytes: %+v", 3*entryBytes, got)
	}
}

func TestBytesAreBounded(t *testing.T) {
	s := newScene(t, Limits{Bytes: 2*entryBytes + 100})
	big := fmt.Sprintf("%060d", 0)
	s.call("saveJob 1 A", "").leads().done(big)
	s.call("saveJob 2 A", "").leads().done(big)
	s.holds(Stats{Entries: 1, Bytes: entryBytes + 64, Evicted: 1})
	s.call("saveJob 1 A", "").leads()
	s.call("saveJob 2 A", "").replays(big, EqualBody)
}

func TestTheLastAnswerStaysHoweverLargeItIs(t *testing.T) {
	s := newScene(t, Limits{Entries: 1, Bytes: 1})
	s.call("saveJob 1 A", "").leads().done("1")
	s.call("saveJob 1 A", "").is(Replay, EqualBody).delivered()
}

func TestCallsInFlightAreNeverEvicted(t *testing.T) {
	s := newScene(t, Limits{Entries: 1})
	var leaders, waiters []*turn
	for i := range 10 {
		leaders = append(leaders, s.call(fmt.Sprintf("saveJob %d A", i+1), "").leads())
	}
	for i := range 10 {
		waiters = append(waiters, s.call(fmt.Sprintf("saveJob %d A", i+1), "").waits(EqualBody))
	}
	for i, c := range leaders {
		c.answered(fmt.Sprint(i))
	}
	for i, c := range waiters { // nine of the answers have been evicted, and are still there for these
		c.resumed().replays(fmt.Sprint(i), EqualBody)
	}
	s.call("saveJob 1 A", "").leads()
}

func TestMoreCallsInFlightThanTheBoundAreRefused(t *testing.T) {
	s := newScene(t, Limits{InFlight: 2})
	first := s.call("saveJob 1 A", "").leads()
	s.call("saveJob 1 A", "").waits(EqualBody)
	refused := s.call("saveJob 1 A", "").refused()
	s.holds(Stats{InFlight: 2})
	refused.done("x") // it may report what it likes
	s.holds(Stats{InFlight: 2})
	first.done("a")
	s.call("saveJob 1 A", "").replays("a", EqualBody)
}

func TestATokenThatIsUsedIsNotEvictedForItsFirstWindow(t *testing.T) {
	s := newScene(t, Limits{Entries: 4})
	s.constructor("T") // with its other token: two entries
	s.pass(window / 2)
	s.call("saveJob 1 A", "T").leads().done("1")
	s.call("saveJob 2 A", "T").leads().done("2")
	s.call("saveJob 3 A", "T").leads().done("3") // the token that nobody uses goes
	if s.m.logins[access.Fingerprint("T")] == nil {
		t.Error("T is not known any more")
	}
	s.holds(Stats{Entries: 4, Bytes: 4*entryBytes + 3, Evicted: 1})
}

func TestEvidenceThatWasEvictedIsNoEvidence(t *testing.T) {
	s := newScene(t, Limits{Entries: 2})
	s.constructor("T")
	s.call("runJob 1", "T").leads().done("a")
	s.refresh("R")
	s.call("runJob 2", "R").leads().done("b")
	s.call("runJob 3", "R").leads().done("c")
	s.call("runJob 1", "R").leads()
}

// A lease runs for minutes, an answer is kept for seconds: ended calls must not
// be held by their leases.
func TestEndedCallsAreNotHeldUntilTheirLeaseEnds(t *testing.T) {
	s := newScene(t, Limits{Entries: 10})
	for i := range 1000 {
		s.call(fmt.Sprintf("saveJob %d A", i+1), "").leads().done("x")
	}
	if n := s.m.leases.Len(); n > 0 {
		t.Errorf("%d leases for no call in flight", n)
	}
	s.call("saveJob 1 A", "").leads() // and the one that is in flight still has its own
	s.pass(lease)
	s.call("saveJob 1 A", "").leads()
}

func TestDefaultLimits(t *testing.T) {
	if got, want := (Limits{}).WithDefaults(), (Limits{Entries: 100_000, Bytes: 64 << 20, InFlight: 10_000}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	given := Limits{Entries: 1, Bytes: 2, InFlight: 3}
	if got := given.WithDefaults(); got != given {
		t.Errorf("got %+v, want what was given", got)
	}
}

func TestALateEventIsNoHarm(t *testing.T) {
	s := newScene(t)
	c := s.call("saveJob 1 A", "T").leads()
	s.pass(-time.Second) // another process's clock
	c.done("a")
	s.call("saveJob 1 A", "T").replays("a", EqualBody)
}

// A client that logged in anew once, and polls: none of its answers is owed to
// anybody, so none may be looked at, however many are remembered.
func TestACallLooksAtNoAnswerThatNoLoginCanPayFor(t *testing.T) {
	s := newScene(t)
	s.constructor("T")
	s.call("fetchJob 1", "T").leads().done("")
	s.refresh("R")
	s.call("fetchJob 1", "R").leadsAs(Resend).done("")
	for range 10 {
		s.call("fetchJob 1", "R").leads().done("")
	}
	if n := s.m.over.Count(describe(t, "fetchJob 1", "R").Key); n != 10 {
		t.Fatalf("%d answers are remembered, want 10", n)
	}
	before := s.m.looked
	s.call("fetchJob 1", "R").leads().done("")
	if n := s.m.looked - before; n != 0 {
		t.Errorf("%d candidates were looked at", n)
	}
}

// crowdOfLogins are as many open logins of one app as a search looks at, from
// another address.
func crowdOfLogins(s *scene) {
	for i := range looks {
		s.refresh(fmt.Sprint("L", i), loginFrom(there))
	}
}

func TestACrowdOfLoginsHidesNoClientsOwn(t *testing.T) {
	s := newScene(t)
	s.constructor("T", loginFrom(here))
	s.call("runJob 1", "T", from(here)).leads().done("a")
	s.call("runJob 2", "T", from(here)).leads().done("b")
	s.refresh("R1", loginFrom(here))
	s.refresh("R2", loginFrom(here))
	crowdOfLogins(s)
	s.call("runJob 1", "R1", from(here)).replays("a", Resend)
	s.call("runJob 2", "R2", from(here)).replays("b", Resend)
}

func TestAmongACrowdOfLoginsTheOneThatWasOverwrittenIsNotFound(t *testing.T) {
	s := newScene(t)
	s.constructor("T", loginFrom(here))
	s.call("runJob 1", "T", from(here)).leads().done("a")
	s.call("runJob 2", "T", from(here)).leads().done("b")
	s.refresh("R1", loginFrom(here))
	crowdOfLogins(s)
	s.refresh("R2", loginFrom(here))
	s.call("runJob 1", "R2", from(here)).replays("a", Resend)
	s.call("runJob 2", "R2", from(here)).leads().done("b")
}
