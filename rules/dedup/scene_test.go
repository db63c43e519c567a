package dedup

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"powerjob-shim/rules/access"
	"powerjob-shim/rules/openapi"
)

// A scene is a story told to a Machine, in virtual time: every event is a
// millisecond later than the one before. Names stand for tokens and answers.
//
//	s := newScene(t)
//	s.constructor("T")
//	s.call("runJob 1", "T").leads().done("instance 5")
//	s.refresh("R")
//	s.call("runJob 1", "R").replays("instance 5", Resend)
//
// A call is written as its name, its subject ("new" for one that is created,
// "?" for one that cannot be read), and whatever else makes its body another.
// saveJob is under match: body, other changes under match: resend. When a scene
// has ended, all that it left must go by itself.
type scene struct {
	t   *testing.T
	m   *Machine
	now time.Time
	id  ID
}

const (
	window = 5 * time.Second
	lease  = time.Minute
)

func newScene(t *testing.T, limits ...Limits) *scene {
	t.Helper()
	var l Limits
	if len(limits) > 0 {
		l = limits[0]
	}
	s := &scene{t: t, m: New(l), now: time.Unix(1_700_000_000, 0)}
	t.Cleanup(func() { s.endsEmpty() })
	return s
}

func (s *scene) pass(d time.Duration) { s.now = s.now.Add(d) }
func (s *scene) tick()                { s.pass(time.Millisecond) }

// endsEmpty lets the time run out for everything.
func (s *scene) endsEmpty() {
	s.t.Helper()
	s.m.expireDue(s.now.Add(2 * time.Hour))
	// What waited or led until its lease ended has its window after that.
	s.m.expireDue(s.now.Add(4 * time.Hour))
	m := s.m
	for what, n := range m.holds() {
		if n != 0 {
			s.t.Errorf("%d %s were left over", n, what)
		}
	}
	if st := m.Stats(); st.Entries != 0 || st.Bytes != 0 || st.InFlight != 0 {
		s.t.Errorf("with nothing left, the figures are %+v", st)
	}
}

// Logins.

const appID = "1"

// constructor is a new client object: a login for its token, another with it.
func (s *scene) constructor(token string, options ...func(*Issue)) {
	s.refresh(token, options...)
	s.presented(token)
	s.tick()
	s.m.Issued(s.now, Issue{Group: "g", App: appID, Token: access.Fingerprint(token + ", ignored"), Requested: s.now, Window: window})
}

// refresh is a login without a token.
func (s *scene) refresh(token string, options ...func(*Issue)) {
	s.tick()
	in := Issue{Group: "g", App: appID, Token: access.Fingerprint(token), Requested: s.now, Bare: true, Window: window}
	for _, o := range options {
		o(&in)
	}
	s.m.Issued(s.now, in)
}

func (s *scene) presented(token string) {
	s.tick()
	s.m.Presented(s.now, access.Fingerprint(token))
}

func requested(at time.Time) func(*Issue) { return func(in *Issue) { in.Requested = at } }
func loginTo(group string) func(*Issue)   { return func(in *Issue) { in.Group = group } }
func loginFrom(addr string) func(*Issue) {
	return func(in *Issue) { in.Addr = netip.MustParseAddr(addr) }
}

// Calls.

func from(addr string) func(*Call)    { return func(c *Call) { c.Addr = netip.MustParseAddr(addr) } }
func observed(c *Call)                { c.Observe = true }
func matchBody(c *Call)               { c.Body = true }
func matchResend(c *Call)             { c.Body = false }
func undeduplicated(c *Call)          { c.Dedup, c.Body = false, false }
func ofApp(id string) func(*Call)     { return func(c *Call) { c.App = id } }
func ofGroup(name string) func(*Call) { return func(c *Call) { c.Group = name } }

// turn is one arrival of a call.
type turn struct {
	s    *scene
	id   ID
	what string
	d    Ruling

	passing bool // a read, or a change without a rule: its answer is not collected
}

func describe(t testing.TB, what, token string) Call {
	t.Helper()
	words := strings.Fields(what)
	in := Call{Group: "g", App: appID, Token: access.Fingerprint(token), Window: window, Lease: lease}
	in.Key = KeyParts{Group: "g", Path: words[0], Body: []byte(what)}.Key()
	known, ok := openapi.Lookup(words[0])
	if !ok {
		in.Dedup, in.Subjects = true, openapi.OfUnlisted
		return in
	}
	if known.Kind == openapi.Change {
		in.Dedup, in.Body = true, known.Name == "saveJob"
		switch subject := words[1]; subject {
		case "new":
			in.Subjects.Creates = true
		case "?":
			in.Subjects.Unknown = true
		default:
			id, err := strconv.ParseInt(subject, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			in.Subjects.Known = []openapi.Subject{{Kind: known.Subject, ID: id}}
		}
	}
	return in
}

func (s *scene) call(what, token string, options ...func(*Call)) *turn {
	s.t.Helper()
	s.tick()
	s.id++
	in := describe(s.t, what, token)
	in.ID = s.id
	for _, o := range options {
		o(&in)
	}
	return &turn{s: s, id: in.ID, what: what + " (" + token + ")", passing: !in.Dedup, d: s.m.Arrive(s.now, in)}
}

var verdicts = [...]string{"lead", "wait", "replay", "pass", "fail", "refuse"}

func (c *turn) is(v Verdict, r Reason) *turn {
	c.s.t.Helper()
	if c.d.Verdict != v || c.d.Reason != r {
		c.s.t.Fatalf("%s: got %s for %q, want %s for %q", c.what, verdicts[c.d.Verdict], c.d.Reason, verdicts[v], r)
	}
	return c
}

// leads: the call is forwarded, for the first time as far as anyone knows.
func (c *turn) leads() *turn { c.s.t.Helper(); return c.is(Lead, First) }

// leadsAs: it is forwarded although it is known for a repetition.
func (c *turn) leadsAs(r Reason) *turn { c.s.t.Helper(); return c.is(Lead, r) }
func (c *turn) waits(r Reason) *turn   { c.s.t.Helper(); return c.is(Wait, r) }
func (c *turn) passes(r Reason) *turn  { c.s.t.Helper(); return c.is(Pass, r) }
func (c *turn) refused() *turn         { c.s.t.Helper(); return c.is(Refuse, First) }

// gets: the call has an answer of another; it is not yet written.
func (c *turn) gets(answer string, r Reason) *turn {
	c.s.t.Helper()
	c.is(Replay, r)
	if got := string(c.d.Answer.Body); got != answer {
		c.s.t.Fatalf("%s: got the answer %q, want %q", c.what, got, answer)
	}
	return c
}

// replays: it gets that answer, and all of it is written.
func (c *turn) replays(answer string, r Reason) *turn {
	c.s.t.Helper()
	return c.gets(answer, r).delivered()
}

func (c *turn) fails(how OutcomeKind) *turn {
	c.s.t.Helper()
	if c.d.Verdict != Fail || c.d.Outcome != how {
		c.s.t.Fatalf("%s: got %s, %d, want fail, %d", c.what, verdicts[c.d.Verdict], c.d.Outcome, how)
	}
	return c.delivered()
}

// done: the upstream answered with success, and the caller has it.
func (c *turn) done(answer string, created ...openapi.Subject) *turn {
	return c.answered(answer, created...).delivered()
}

// answered: the shim has the answer, the caller not yet.
func (c *turn) answered(answer string, created ...openapi.Subject) *turn {
	if c.passing {
		return c.ends(Outcome{Kind: Answered, Status: 200})
	}
	return c.ends(kept(answer, created...))
}

func (c *turn) ends(out Outcome) *turn {
	c.s.tick()
	c.s.m.Finish(c.s.now, c.id, out)
	return c
}

func (c *turn) delivered() *turn {
	c.s.tick()
	c.s.m.Delivered(c.s.now, c.id)
	return c
}

func (c *turn) hangsUp() *turn {
	c.s.tick()
	c.s.m.Leave(c.s.now, c.id)
	return c
}

// resumed: it is asked again what becomes of a call that waited.
func (c *turn) resumed() *turn {
	c.s.tick()
	c.d = c.s.m.Resume(c.s.now, c.id)
	return c
}

func kept(answer string, created ...openapi.Subject) Outcome {
	return Outcome{Kind: Kept, Status: 200, Answer: &Answer{Status: 200, Body: []byte(answer)}, Created: created}
}

// accepted is an answer of a server that checks tokens and took this one.
func accepted(answer string) Outcome {
	out := kept(answer)
	out.Answer.Auth = "true"
	return out
}

func every(string) bool { return true }

func failed(status int, answer string) Outcome {
	return Outcome{Kind: Answered, Status: status, Answer: &Answer{Status: status, Body: []byte(answer)}}
}

// genOf is the generation of a thing that calls watch.
func genOf(m *Machine, is openapi.Subject) uint64 {
	for thing := range m.things.All {
		if thing.Is == is {
			return thing.Gen
		}
	}
	return 0
}

func job(id int64) openapi.Subject { return openapi.Subject{Kind: openapi.Job, ID: id} }
