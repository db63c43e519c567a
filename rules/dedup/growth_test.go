package dedup

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"powerjob-shim/rules/access"
)

// crowd is a machine with much of something in it, all of one app.
type crowd struct {
	t   testing.TB
	m   *Machine
	now time.Time
	id  ID
}

func newCrowd(t testing.TB) *crowd {
	return &crowd{t: t, m: New(Limits{Entries: 1 << 22, Bytes: 1 << 32, InFlight: 1 << 20}), now: time.Unix(1_700_000_000, 0)}
}

func (c *crowd) tick() { c.now = c.now.Add(time.Microsecond) }

// arrive takes in a call under match: resend.
func (c *crowd) arrive(what, token string, options ...func(*Call)) (ID, Ruling) {
	c.tick()
	c.id++
	in := describe(c.t, what, token)
	in.ID = c.id
	for _, o := range options {
		o(&in)
	}
	return in.ID, c.m.Arrive(c.now, in)
}

// call takes in a call and ends it.
func (c *crowd) call(what, token string, out Outcome, options ...func(*Call)) {
	id, d := c.arrive(what, token, options...)
	c.tick()
	if d.Verdict == Lead {
		c.m.Finish(c.now, id, out)
	}
	c.m.Delivered(c.now, id)
}

func (c *crowd) login(token string, addr netip.Addr, bare bool) {
	c.tick()
	c.m.Issued(c.now, Issue{Group: "g", App: appID, Token: access.Fingerprint(token), Addr: addr, Requested: c.now, Bare: bare, Window: window})
}

var (
	wasRead = Outcome{Kind: Answered, Status: 200}
	refused = Outcome{Kind: Denied, Status: 200}
)

// crowds are what a store may hold much of: each adds the n-th.
var crowds = []struct {
	name string
	add  func(c *crowd, n int)
}{
	{"open logins", func(c *crowd, n int) { c.login(fmt.Sprint("L", n), netip.Addr{}, true) }},
	{"open logins from an address each", func(c *crowd, n int) {
		c.login(fmt.Sprint("L", n), netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, uint32(n)))), true)
	}},
	{"tokens in use", func(c *crowd, n int) {
		c.login(fmt.Sprint("L", n), netip.Addr{}, false)
		c.call("fetchJob 2", fmt.Sprint("L", n), wasRead)
	}},
	{"marks of an app", func(c *crowd, n int) { c.call(fmt.Sprint("fetchJob ", n), "T", wasRead) }},
	{"refusals", func(c *crowd, n int) {
		c.login(fmt.Sprint("L", n), netip.Addr{}, false)
		c.call(fmt.Sprint("fetchJob ", n), fmt.Sprint("L", n), refused)
	}},
	{"refusals of strangers", func(c *crowd, n int) { c.call(fmt.Sprint("fetchJob ", n), fmt.Sprint("S", n), refused) }},
	{"refusals and open logins", func(c *crowd, n int) {
		c.login(fmt.Sprint("L", n), netip.Addr{}, false)
		c.call("runJob 1", fmt.Sprint("L", n), refused)
		c.login(fmt.Sprint("M", n), netip.Addr{}, true)
	}},
	{"equal reads", func(c *crowd, _ int) { c.call("fetchJob 1", "T", wasRead) }},
	{"equal calls", func(c *crowd, _ int) { c.call("runJob 1", "T", kept("a")) }},
	{"equal calls that are repeated", func(c *crowd, n int) {
		c.call("runJob 1", "T", kept("a"))
		c.login(fmt.Sprint("L", n), netip.Addr{}, true)
		c.call("runJob 1", fmt.Sprint("L", n), kept("a"))
	}},
	{"equal calls in flight", func(c *crowd, _ int) { c.arrive("runJob 1", "T") }},
	{"waiters", func(c *crowd, _ int) { c.arrive("runJob 1", "T", matchBody) }},
	{"callers who hung up", func(c *crowd, n int) {
		if n == 0 {
			c.arrive("runJob 1", "T", matchBody)
		}
		id, _ := c.arrive("runJob 1", fmt.Sprint("L", n), matchBody)
		c.tick()
		c.m.Leave(c.now, id)
	}},
}

// steps are the steps of a client whose header is lost, of a call that is equal to
// many in the crowd, and of another. Every round is a client of its own.
func (c *crowd) steps(round int, step func(name string, do func())) {
	first, second := fmt.Sprint("P", round), fmt.Sprint("Q", round)
	var a, b ID
	step("login", func() { c.login(first, netip.Addr{}, true) })
	step("call", func() { c.call("runJob 1", first, kept("a")) })
	step("call once more", func() { c.call("runJob 1", first, kept("a")) })
	step("read", func() { c.call("fetchJob 1", first, wasRead) })
	step("another login", func() { c.login(second, netip.Addr{}, true) })
	step("call in flight", func() { a, _ = c.arrive("runJob 1", second) })
	step("call that may be plainly equal", func() { b, _ = c.arrive("runJob 1", "T", matchBody) })
	step("hang-up", func() { c.m.Leave(c.now, a) })
	step("another hang-up", func() { c.m.Leave(c.now, b) })
	step("retry", func() { c.call("runJob 1", second, kept("b")) })
	step("refusal", func() { c.call("runJob 9", second, refused) })
	step("login that a refusal explains", func() { c.login(second+"'", netip.Addr{}, true) })
	step("call with the token of another login", func() { c.call("runJob 9", first, kept("c")) })
	step("constructor", func() { c.m.Presented(c.now, access.Fingerprint(second)) })
}

// No step looks at more candidates the more there are. BenchmarkGrowth is the same
// in time.
func TestNoStepLooksAtMoreTheMoreThereIs(t *testing.T) {
	for _, kind := range crowds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			looked := map[string]int{}
			for _, size := range []int{500, 5_000} {
				c := newCrowd(t)
				for n := range size {
					kind.add(c, n)
				}
				c.steps(1, func(name string, do func()) {
					before := c.m.looked
					do()
					got := c.m.looked - before
					if size == 500 {
						looked[name] = got
					} else if got > looked[name] || got > 10*looks {
						t.Errorf("%s: %d candidates were looked at among 500, %d among 5,000", name, looked[name], got)
					}
				})
			}
		})
	}
}

// BenchmarkGrowth is what the steps of a client take beside 1, 1,000 and 100,000
// of everything. The figures of one line of sizes are to be compared.
func BenchmarkGrowth(b *testing.B) {
	for _, kind := range crowds {
		for _, size := range []int{1, 1_000, 100_000} {
			b.Run(fmt.Sprintf("%s/%d", kind.name, size), func(b *testing.B) {
				c := newCrowd(b)
				for n := range size {
					kind.add(c, n)
				}
				var slowest time.Duration
				round := 0
				for b.Loop() {
					round++
					c.steps(round, func(_ string, do func()) {
						began := time.Now()
						do()
						slowest = max(slowest, time.Since(began))
					})
				}
				b.ReportMetric(float64(slowest.Microseconds()), "slowest-µs")
			})
		}
	}
}

// A call that comes when the time of many logins has come ends them all. Where
// each of them cost a look at all the others, 40,000 took seconds under a lock.
func BenchmarkACallThatEndsManyLogins(b *testing.B) {
	for _, logins := range []int{1, 1_000, 100_000} {
		b.Run(fmt.Sprint(logins), func(b *testing.B) {
			for range b.N {
				b.StopTimer()
				c := newCrowd(b)
				for n := range logins {
					c.login(fmt.Sprint(n), netip.Addr{}, true)
				}
				call := describe(b, "runJob 1", "T")
				b.StartTimer()
				c.m.Arrive(c.now.Add(2*window), call)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(logins), "ns/login")
		})
	}
}
