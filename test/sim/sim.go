// Package sim plays histories of PowerJob clients, shims and a server in
// virtual time, with an adversary who loses headers, delays, cuts and restarts,
// and compares what the server executed with what the clients called.
//
// It is deterministic: one goroutine runs at a time, all chance comes from one
// seed, and an event queue makes the time. The clients are the Go port of the real
// one (internal/standin/client, itself checked against traces of the real jar), each
// thread a coroutine. The shims are rules/dedup's Machine, driven in the order
// in which proxy/replay drives it. Shims that share a store share the Machine,
// or, over a network, a log: then each drives the real Node of
// internal/store/redislog, and the log and the lines to it fail (SharedStore).
//
//	r := sim.Run(sim.Families()[0], seed)
//	fmt.Println(r.Doubled, r.Dropped)
package sim

import (
	"container/heap"
	"fmt"
	"iter"
	"time"

	"powerjob-shim/internal/standin/client"
	"powerjob-shim/internal/store/storetest"
)

// epoch is when every history begins.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Chooser makes all choices of a history. *rand.Rand is one; another draws them
// from pgregory.net/rapid, which can shrink them.
type Chooser interface {
	// IntN returns a number from 0 to n-1. 0 must be the tamest choice.
	IntN(n int) int
}

// world is one history in progress.
type world struct {
	Family
	rng    Chooser
	now    time.Time
	events events
	seq    int

	ops     []*operation // what the threads choose from
	server  *server
	shims   []*shim
	procs   []*process
	current *thread // whose coroutine runs
	calls   []*logical
	open    []*exchange

	polls    int       // scheduled events that do not keep a history going
	episodes []episode // in which a shim or the shared store was away
	result   Result
	trace    func(format string, args ...any) // nil: no timeline
	orders   []*storetest.Order               // that the shims are held to; none unless traced
}

type event struct {
	at  time.Time
	seq int // of equal times, the first scheduled comes first
	run func()
}

type events []*event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at.Before(e[j].at) || e[i].at.Equal(e[j].at) && e[i].seq < e[j].seq
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(*event)) }
func (e *events) Pop() any {
	old := *e
	last := old[len(old)-1]
	*e = old[:len(old)-1]
	return last
}

// after schedules run.
func (w *world) after(d time.Duration, run func()) {
	w.seq++
	heap.Push(&w.events, &event{w.now.Add(d), w.seq, run})
}

// background schedules run, which alone does not keep the history going.
func (w *world) background(d time.Duration, run func()) {
	w.polls++
	w.after(d, func() {
		w.polls--
		run()
	})
}

// play runs events until only those in the background are left.
func (w *world) play() {
	for len(w.events) > w.polls {
		e := heap.Pop(&w.events).(*event)
		w.now = e.at
		e.run()
	}
}

func (w *world) note(format string, args ...any) {
	if w.trace != nil {
		w.trace("%9.3f ms  %s", float64(w.now.Sub(epoch).Microseconds())/1000, fmt.Sprintf(format, args...))
	}
}

// between draws a duration.
func (w *world) between(low, high time.Duration) time.Duration {
	return low + time.Duration(w.rng.IntN(int((high-low)/step)+1))*step
}

// step is the grain of durations that are drawn.
const step = 10 * time.Microsecond

// chance is true with probability p. Drawing 0 makes it false.
func (w *world) chance(p float64) bool { return w.rng.IntN(1000) >= 1000-int(p*1000) }

// thread is one thread of a client process: a coroutine that gives up control
// where the real one would block.
type thread struct {
	w     *world
	proc  *process
	name  string
	yield func(struct{}) bool
	next  func() (struct{}, bool)
	stop  func()
	call  *logical // in progress
}

// spawn starts a coroutine at the current time.
func (w *world) spawn(proc *process, name string, body func(*thread)) *thread {
	t := &thread{w: w, proc: proc, name: name}
	t.next, t.stop = iter.Pull(func(yield func(struct{}) bool) {
		t.yield = yield
		body(t)
	})
	return t
}

// resume lets a thread run until it blocks again.
func (w *world) resume(t *thread) {
	before := w.current
	w.current = t
	t.next()
	w.current = before
}

// block gives up control until somebody resumes the thread.
func (t *thread) block() { t.yield(struct{}{}) }

func (t *thread) sleep(d time.Duration) {
	t.w.after(d, func() { t.w.resume(t) })
	t.block()
}

// process is one client process: one client object that its threads share.
type process struct {
	w       *world
	index   int
	client  caller
	threads []*thread
}

// caller is a 5.x or a 4.x client object.
type caller interface {
	Do(client.Request) (client.Result, error)
}

// RoundTrip implements client.Transport: OkHttp's call with its time limit, and
// what it repeats silently.
func (p *process) RoundTrip(address string, r client.Request) (client.Response, error) {
	t := p.w.current
	deadline := p.w.now.Add(callTimeout)
	call := t.call
	if isLogin(r.Path) {
		call = nil
	}
	return client.Silently(func() (client.Response, error) {
		x := &exchange{w: p.w, thread: t, request: r, call: call, deadline: deadline}
		x.start(address)
		t.block()
		return x.response, x.err
	})
}
