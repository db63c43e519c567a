package dedup

import (
	"fmt"
	"iter"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"powerjob-shim/internal/ordered"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/dedup/archive"
	"powerjob-shim/rules/guard"
	"powerjob-shim/rules/openapi"
)

// Whatever happens in whatever order, the machine neither panics nor loses
// count nor leaks, nobody gets another call's answer, and nothing is taken for a
// repetition more often than there was a reason.
func TestAnyOrderOfEvents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &walk{
			now:    time.Unix(1_700_000_000, 0),
			tokens: []string{"", "T"},
			trust:  rapid.Bool().Draw(t, "trusted addresses"),
		}
		limits := Limits{Entries: rapid.SampledFrom([]int{100, 100, 20, 1}).Draw(t, "entries"), InFlight: rapid.SampledFrom([]int{100, 5}).Draw(t, "in flight")}
		w.m, w.bare = New(limits), New(limits)
		w.bare.over = noArchive{}
		t.Repeat(map[string]func(*rapid.T){
			"": w.check, "arrive": w.arrive, "arrive again": w.arrive, "finish": w.finish, "finish and deliver": w.finishAndDeliver,
			"leave": w.leave, "deliver": w.deliver, "resume": w.resume, "issue": w.issue, "present": w.present, "pass": w.pass, "disown": w.disown,
		})
		w.end(t)
	})
}

type walk struct {
	m    *Machine
	bare *Machine // goes the same way, without an archive

	now  time.Time
	last ID
	open []*arrival // not yet delivered, as far as the outside knows

	tokens []string // the newest last
	trust  bool     // in addresses

	logins, lent, gone, resends, retries int
}

type arrival struct {
	in     Call
	d      Ruling
	ended  bool // a leader's
	leader ID
}

// both takes a step of both machines.
func (w *walk) both(step func(*Machine)) {
	step(w.m)
	if w.bare != nil {
		step(w.bare)
	}
}

// noArchive takes no call: they stay where they are.
type noArchive struct{ archive.Calls[over, *caller] }

func (noArchive) Put(archive.Call[over, *caller]) bool { return false }
func (noArchive) Marks(archive.Key, ordered.Key, ordered.Key) iter.Seq2[ordered.Key, archive.Mark[over, *caller]] {
	return func(func(ordered.Key, archive.Mark[over, *caller]) bool) {}
}
func (noArchive) Recall(archive.Key) (c archive.Call[over, *caller], ok bool) { return c, false }
func (noArchive) FirstEnd() ordered.Key                                       { return ordered.Last }
func (noArchive) ForgetMarks(func(*over))                                     {}
func (noArchive) Count(archive.Key) int                                       { return 0 }

// decide is both for a step that decides something: no decision may depend on what
// is in the archive.
func (w *walk) decide(t *rapid.T, step func(*Machine) Ruling) Ruling {
	var got []Ruling
	w.both(func(m *Machine) { got = append(got, step(m)) })
	if last := got[len(got)-1]; !reflect.DeepEqual(got[0], last) {
		t.Fatalf("with an archive the decision is %+v, without %+v", got[0], last)
	}
	return got[0]
}

// token is mostly one of the newest.
func (w *walk) token(t *rapid.T) access.Token {
	return access.Fingerprint(rapid.SampledFrom(w.tokens[max(0, len(w.tokens)-3):]).Draw(t, "token"))
}

func (w *walk) arrive(t *rapid.T) {
	w.last++
	w.now = w.now.Add(time.Millisecond)
	word := rapid.IntRange(0, 3).Draw(t, "call")
	in := Call{
		ID: w.last, Group: "g", App: "1", Key: KeyParts{App: fmt.Sprint(word)}.Key(),
		Token: w.token(t), Addr: w.addr(t),
		Window: time.Duration(rapid.IntRange(1, 3).Draw(t, "window")) * time.Second, Lease: 10 * time.Second,
		Dedup: word > 0, Body: word > 1, Observe: rapid.IntRange(0, 5).Draw(t, "observe") == 0,
	}
	switch word {
	case 1:
		in.Subjects.Known = []openapi.Subject{job(1)}
	case 2:
		in.Subjects.Creates = true
	case 3:
		in.Subjects.Known, in.Subjects.Unknown = nil, rapid.Bool().Draw(t, "unknown")
	}
	a := &arrival{in: in, d: w.decide(t, func(m *Machine) Ruling { return m.Arrive(w.now, in) })}
	if a.d.Verdict != Refuse {
		w.open = append(w.open, a)
	}
	w.decided(t, a)
}

func (w *walk) addr(t *rapid.T) netip.Addr {
	if !w.trust {
		return netip.Addr{}
	}
	return netip.MustParseAddr(rapid.SampledFrom([]string{here, here, here, here, there}).Draw(t, "address"))
}

func (w *walk) decided(t *rapid.T, a *arrival) {
	switch a.d.Reason {
	case Resend, Overtaken, AfterFalse:
		if !a.d.Waited {
			w.resends++
			if c := w.m.calls[a.in.ID]; c.spentLogin.paidForAnother && c.spentLogin.token != c.by.token {
				w.lent++
			}
		}
	case Retry:
		if !a.d.Waited {
			w.retries++
		}
	}
	if a.d.Verdict == Replay && string(a.d.Answer.Body) != string(a.in.Key[:]) {
		t.Fatal("a call got the answer of another")
	}
	if a.d.Verdict == Wait {
		a.leader = a.d.Leader
	}
	if w.resends > w.logins+w.lent+w.gone || w.retries > w.gone {
		t.Fatalf("%d re-sends for %d logins, of which %d were lent; %d retries of %d who gave up", w.resends, w.logins, w.lent, w.retries, w.gone)
	}
}

func (w *walk) some(t *rapid.T, which func(*arrival) bool) *arrival {
	var all []*arrival
	for _, a := range w.open {
		if which(a) {
			all = append(all, a)
		}
	}
	if len(all) == 0 {
		t.Skip("no call is in that state: another step is drawn")
	}
	return rapid.SampledFrom(all).Draw(t, "arrival")
}

func (w *walk) finish(t *rapid.T) {
	a := w.some(t, func(a *arrival) bool { return a.d.Verdict == Lead && !a.ended })
	a.ended = true
	out := Outcome{Kind: rapid.SampledFrom([]OutcomeKind{Kept, Kept, Kept, Answered, Denied, NotSent, Lost}).Draw(t, "outcome"), Status: 200}
	if out.Kind == Kept && !a.in.Dedup {
		out.Kind = Answered
	}
	if out.Kind == Kept || out.Kind == Answered && rapid.Bool().Draw(t, "small") {
		out.Status = rapid.SampledFrom([]int{200, 200, 500}).Draw(t, "status")
		out.Answer = &Answer{Status: out.Status, Body: a.in.Key[:], Auth: rapid.SampledFrom([]string{"", "true"}).Draw(t, "auth")}
	}
	if out.Kind == Kept && rapid.Bool().Draw(t, "created") {
		out.Created = []openapi.Subject{job(int64(rapid.IntRange(1, 2).Draw(t, "id")))}
	}
	w.both(func(m *Machine) { m.Finish(w.now, a.in.ID, out) })
	// Nobody who waited for it has to wait any longer.
	for _, b := range slices.Clone(w.open) {
		if b.d.Verdict == Wait && b.leader == a.in.ID && rapid.Bool().Draw(t, "at once") {
			w.resumed(t, b)
		}
	}
}

func (w *walk) finishAndDeliver(t *rapid.T) {
	w.finish(t)
	w.deliver(t)
}

func (w *walk) resume(t *rapid.T) {
	w.resumed(t, w.some(t, func(a *arrival) bool { return a.d.Verdict == Wait }))
}

func (w *walk) resumed(t *rapid.T, a *arrival) {
	a.d = w.decide(t, func(m *Machine) Ruling { return m.Resume(w.now, a.in.ID) })
	if a.d.Verdict == Wait {
		if c := w.m.calls[a.leader]; c == nil || c.phase != leading {
			t.Fatal("it waits for a call that has ended")
		}
	}
	a.d.Waited = true // as far as counting goes
	w.decided(t, a)
}

func (w *walk) leave(t *rapid.T) {
	a := w.some(t, func(*arrival) bool { return true })
	w.gone++
	w.both(func(m *Machine) { m.Leave(w.now, a.in.ID) })
}

func (w *walk) deliver(t *rapid.T) {
	a := w.some(t, func(a *arrival) bool { return a.d.Verdict != Wait && (a.d.Verdict != Lead || a.ended) })
	w.both(func(m *Machine) { m.Delivered(w.now, a.in.ID) })
	w.open = slices.DeleteFunc(w.open, func(b *arrival) bool { return a == b })
}

func (w *walk) issue(t *rapid.T) {
	bare := rapid.IntRange(0, 5).Draw(t, "carried a token") > 0
	if bare {
		w.logins++
	}
	name := fmt.Sprint("R", len(w.tokens))
	w.tokens = append(w.tokens, name)
	in := Issue{
		Group: "g", App: "1", Token: access.Fingerprint(name), Addr: w.addr(t),
		Requested: w.now.Add(-time.Duration(rapid.SampledFrom([]int{0, 0, 2, 500}).Draw(t, "took")) * time.Millisecond), Bare: bare, Window: 2 * time.Second,
	}
	w.both(func(m *Machine) { m.Issued(w.now, in) })
}

func (w *walk) present(t *rapid.T) {
	token := w.token(t)
	w.both(func(m *Machine) { m.Presented(w.now, token) })
}

func (w *walk) disown(t *rapid.T) {
	if rapid.IntRange(0, 3).Draw(t, "rarely") > 0 {
		t.Skip("not often, or there is no evidence at all")
	}
	w.both(func(m *Machine) { m.Disown() })
}

func (w *walk) pass(t *rapid.T) {
	w.now = w.now.Add(time.Duration(rapid.SampledFrom([]int{1, 1, 1, 1, 10, 300, 3000, 11000}).Draw(t, "milliseconds")) * time.Millisecond)
}

// check looks at how the parts of the machine hang together.
func (w *walk) check(t *rapid.T) {
	m := w.m
	if n := m.Stats().InFlight; n != len(m.calls) || n > len(w.open) || n > m.limits.InFlight {
		t.Fatalf("%d in flight, %d known, %d open outside", n, len(m.calls), len(w.open))
	}
	packed := m.over.(*archive.Packed[over, *caller])
	entries := m.windows.Len() + packed.Calls()
	bytes := int64(entries)*entryBytes + packed.Bytes()
	for _, r := range all(&m.windows) {
		if c, ok := r.(*call); ok {
			bytes += callBytes
			if c.recorded() && c.dedup {
				bytes += c.answer.Bytes()
			}
		}
	}
	if s := m.Stats(); s.Entries != entries || s.Bytes != bytes || s.Entries > m.limits.Entries {
		t.Fatalf("%+v for %d entries of %d bytes", s, entries, bytes)
	}
	for _, c := range m.calls {
		if c.phase == waiting && c.leader == nil || c.phase == leading && c.leader != nil {
			t.Fatal("a call with a leader leads, or one without waits")
		}
		if m.histories[c.history.key] != c.history {
			t.Fatal("a call on its way has a history that nobody else finds")
		}
	}
	for _, h := range m.histories {
		for _, c := range all(&h.leaders) {
			if !c.dedup || c.phase != leading && !c.recorded() {
				t.Fatal("a leader that does not lead")
			}
		}
		for key, mk := range m.unspent(h, ordered.Last) {
			if !mk.set || mk.spent || mk.call != nil && mk.call.history != h {
				t.Fatal("a mark that is not unspent")
			}
			if a := mk.by.in; a != nil {
				_, refused := a.refused.Get(key)
				_, stranger := a.strangers.Get(key)
				if refused != (mk.denied && !mk.unissued) || stranger != (mk.denied && mk.unissued) {
					t.Fatal("an unspent mark that its app knows nothing of")
				}
			}
		}
	}
	watched, busy := packed.Watched(), map[*guard.Thing]int32{}
	for c := range m.everyCall() {
		for _, w := range c.change.Watches {
			watched[w.Thing]++
			if c.phase == leading && c.change.Changes(&w) {
				busy[w.Thing]++
			}
		}
	}
	for thing, holders := range m.things.All {
		if holders != watched[thing] || thing.Busy != busy[thing] {
			t.Fatalf("a thing has %d watches, %d of calls that change it now, and counts %d and %d", watched[thing], busy[thing], holders, thing.Busy)
		}
	}
}

// all returns what a list has, the last one first.
func all[T any](l *ordered.List[T]) (all []T) {
	for _, of := range l.Backward(ordered.Last) {
		all = append(all, of)
	}
	return all
}

// everyCall returns all calls that are not in the archive.
func (m *Machine) everyCall() map[*call]bool {
	every := map[*call]bool{}
	for _, c := range m.calls {
		every[c] = true
	}
	for _, r := range all(&m.windows) {
		if c, ok := r.(*call); ok {
			every[c] = true
		}
	}
	return every
}

// holds counts all that m holds.
func (m *Machine) holds() map[string]int {
	return map[string]int{
		"calls": len(m.calls), "histories": len(m.histories), "logins": len(m.logins), "apps": len(m.apps), "leases": m.leases.Len(),
		"windows": m.windows.Len(), "open logins": m.opens.Len(),
		"parts of the archive": m.over.(*archive.Packed[over, *caller]).Len(), "things": m.things.Len(),
	}
}

func (w *walk) end(t *rapid.T) {
	w.check(t)
	m := w.m
	m.expireDue(w.now.Add(time.Hour))
	m.expireDue(w.now.Add(2 * time.Hour))
	for what, n := range m.holds() {
		if n != 0 {
			t.Fatalf("left over: %d %s", n, what)
		}
	}
	if s := m.Stats(); s.Entries != 0 || s.Bytes != 0 || s.InFlight != 0 {
		t.Fatalf("with nothing left, the figures are %+v", s)
	}
}

// Where nobody logs in and nobody hangs up, match: resend drops nothing.
func TestWithoutAReasonEveryCallIsForwarded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &walk{m: New(Limits{}), now: time.Unix(1_700_000_000, 0), tokens: []string{"", "T", "U", "V"}}
		t.Repeat(map[string]func(*rapid.T){
			"arrive": func(t *rapid.T) {
				w.last++
				in := Call{
					ID: w.last, Group: "g", App: "1", Key: KeyParts{App: fmt.Sprint(rapid.IntRange(0, 1).Draw(t, "call"))}.Key(), Dedup: true,
					Token: w.token(t), Window: time.Second, Subjects: openapi.Subjects{Known: []openapi.Subject{job(1)}},
				}
				a := &arrival{in: in, d: w.m.Arrive(w.now, in)}
				if a.d.Verdict != Lead || a.d.Reason != First {
					t.Fatalf("got %+v", a.d)
				}
				w.open = append(w.open, a)
			},
			"finish": w.finish, "deliver": w.deliver, "pass": w.pass,
		})
	})
}
