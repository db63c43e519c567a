package dedup

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"powerjob-shim/rules/access"
	"powerjob-shim/rules/dedup/archive"
	"powerjob-shim/rules/openapi"
)

// filler takes calls through a machine, each on a thing of its own.
type filler struct {
	m    *Machine
	now  time.Time
	last ID

	header map[string][]string // of the answers
}

const answerLen = 100

func newFiller() *filler {
	return &filler{m: New(Limits{Entries: 1e9, Bytes: 1e12}), now: time.Unix(1_700_000_000, 0), header: map[string][]string{"Content-Type": {"application/json;charset=utf-8"}}}
}

// call takes in a call with its n-th key, and ends it.
func (f *filler) call(n int, options ...func(*Call)) { f.answer(n, answerLen, options...) }

func (f *filler) answer(n, bytes int, options ...func(*Call)) {
	f.last++
	f.now = f.now.Add(time.Microsecond)
	in := Call{
		ID: f.last, Group: "default", App: "1", Token: access.Token{1}, Window: time.Hour, Dedup: true, Body: true,
		Subjects: openapi.Subjects{Creates: true},
	}
	binary.BigEndian.PutUint64(in.Key[:], uint64(n)*0x9E3779B97F4A7C15) // as evenly spread as a hash
	for _, o := range options {
		o(&in)
	}
	out := Outcome{Kind: Answered, Status: 200}
	if in.Dedup {
		out = Outcome{
			Kind: Kept, Status: 200, Created: []openapi.Subject{{Kind: openapi.Job, ID: int64(f.last)}},
			Answer: &Answer{Status: 200, Header: archive.PackHeader(f.header, every), Body: make([]byte, bytes)},
		}
	}
	if d := f.m.Arrive(f.now, in); d.Verdict == Lead {
		f.m.Finish(f.now, in.ID, out)
	}
	f.m.Delivered(f.now, in.ID)
}

func read(c *Call) { c.Dedup, c.Body, c.Subjects = false, false, openapi.Subjects{} }

// heap returns the bytes of live objects.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what the first one found to be unique to nobody
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// What the bounds count is what entries take or more, for one that takes little
// up to three times as much.
func TestAnEntryTakesWhatItIsCountedFor(t *testing.T) {
	for name, step := range map[string]func(f *filler, n int){
		"calls, each one new": func(f *filler, n int) { f.call(n) },
		"calls whose request names a job": func(f *filler, n int) {
			f.call(n, func(c *Call) { c.Subjects = openapi.Subjects{Known: []openapi.Subject{job(int64(n))}} })
		},
		"calls with large answers": func(f *filler, n int) { f.answer(n, 10_000) },
		"calls whose answers have a field of their own": func(f *filler, n int) {
			f.header["X-Trace"] = []string{fmt.Sprintf("%064d", n)}
			f.call(n)
		},
		"calls under match: resend":        func(f *filler, n int) { f.call(n, matchResend) },
		"reads":                            func(f *filler, n int) { f.call(n, read) },
		"one read, over and over":          func(f *filler, _ int) { f.call(1, read) },
		"one call, executed over and over": func(f *filler, _ int) { f.call(1, matchResend) },
		"one call, replayed over and over": func(f *filler, _ int) { f.call(1) },
		"calls that are repeated":          func(f *filler, n int) { f.call(n); f.call(n) },
		"logins":                           func(f *filler, n int) { f.login(n) },
		"calls, each with a login":         func(f *filler, n int) { f.login(n); f.call(n, func(c *Call) { c.Token = token(n) }) },
		"calls without a token, an app each": func(f *filler, n int) {
			f.call(n, func(c *Call) {
				c.Token = access.Token{}
				c.App = fmt.Sprint("app", n)
				c.Addr = netip.MustParseAddr(here)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			steps := 10_000
			before := heap()
			f := newFiller()
			for n := range steps {
				step(f, n+1)
			}
			taken, s := heap()-before, f.m.Stats()
			t.Logf("%d entries take %d bytes each, counted for %d", s.Entries, taken/int64(s.Entries), s.Bytes/int64(s.Entries))
			if taken > s.Bytes || taken < s.Bytes/3 {
				t.Errorf("%d entries take %d bytes, and are counted for %d", s.Entries, taken, s.Bytes)
			}
			runtime.KeepAlive(f)
		})
	}
}

func token(n int) (t access.Token) {
	binary.BigEndian.PutUint64(t[:], uint64(n))
	return t
}

func (f *filler) login(n int) {
	f.now = f.now.Add(time.Microsecond)
	f.m.Issued(f.now, Issue{Group: "default", App: "1", Token: token(n), Requested: f.now, Window: time.Hour, Bare: true})
	f.m.Presented(f.now, token(n))
}

// The default bounds have room for 100,000 calls with answers of 100 bytes.
func TestARememberedCallTakesLittle(t *testing.T) {
	const calls, most = 100_000, 330
	before := heap()
	f := newFiller()
	for n := range calls {
		f.call(n + 1)
	}
	if got := (heap() - before) / calls; got > most+answerLen {
		t.Errorf("a call takes %d bytes, of which its answer has %d; want at most %d more", got, answerLen, most)
	}
	if s, l := f.m.Stats(), (Limits{}).WithDefaults(); s.Bytes > l.Bytes {
		t.Errorf("%d calls are counted for %d bytes, the default bound is %d", calls, s.Bytes, l.Bytes)
	}
	runtime.KeepAlive(f)
}

func TestACallCostsNoMoreAllocationsTheMoreAreRemembered(t *testing.T) {
	const most = 16
	f := newFiller()
	n := 0
	next := func() { n++; f.call(n) }
	for _, remembered := range []int{10, 100_000} {
		for n < remembered {
			next()
		}
		if got := testing.AllocsPerRun(1000, next); got > most {
			t.Errorf("a call costs %v allocations with %d remembered, want at most %d", got, remembered, most)
		}
	}
}

// BenchmarkRemembered is what one call costs by how many are remembered, and
// what one of them takes.
func BenchmarkRemembered(b *testing.B) {
	for _, size := range []int{1, 1_000, 100_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			before := heap()
			f := newFiller()
			f.m.limits.Entries = size + 1 // and a token
			n := 0
			for range size {
				n++
				f.call(n)
			}
			perCall := float64(heap()-before) / float64(size)
			b.ReportAllocs()
			for b.Loop() {
				n++
				f.call(n)
			}
			b.ReportMetric(perCall, "heap-B/call")
			runtime.KeepAlive(f)
		})
	}
}
