package sim

import (
	"fmt"
	"math/rand/v2"
	"time"

	"powerjob-shim/internal/standin/client"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/dedup"
)

// Loss says which answers lose the header between the shim and the clients.
type Loss uint8

// The ways to lose it.
const (
	Never Loss = iota
	Always
	SomeProcesses // always for some, never for the others
	AtRandom      // for each answer by itself
)

// Family is a kind of history.
type Family struct {
	Name      string
	Loss      Loss
	Processes [2]int
	Threads   [2]int
	Calls     [2]int // of each thread
	Think     [2]time.Duration
	Net       [2]time.Duration // one way between two hosts
	Work      [2]time.Duration // of the server

	Addresses bool // the clients' addresses are known and can be trusted
	Shims     int
	Shared    bool // the shims share one store
	Network   bool // with Shared: the store is a log that they reach over a network
	Balanced  bool // each request goes to any of them
	Starting  bool // processes start while others call
	Old       bool // 4.x clients
	Saves     bool // two bodies of saveJob to each job, beside the other calls
	Unlisted  bool // beside calls that the catalogue does not know: changes, and things that are polled
	Checked   bool // the server checks tokens and forgets them once
	Checks    bool // the server checks tokens
	Strangers bool // calls with made-up tokens beside the clients', which the shim's gate refuses, or the server where it checks
	Replaced  bool // with Checked: the shim's gate does so instead, as the shim is replaced
	Own       bool // most of a thread's calls are for jobs of its own

	// Allowed is how many histories of 1,000 may come out wrong; the zero value
	// allows none. docs/promise.md names the limit behind it.
	Allowed Rates
	Entries int // the store's bound; 0: 100,000

	SlowRate, LoseRate, FailRate, RefuseRate, CutRate, LostWrites, RestartRate float64

	HideHangUps bool
	StoreFaults bool // the shared store's network and log fail now and then

	// Preempt lets threads lose the processor between a login's answer, the
	// shared token field and the call that reads it.
	Preempt bool
}

// Rates count histories in 1,000.
type Rates struct{ Doubled, Dropped, BadStates float64 }

// logical is one call of a thread: what the caller's code asked for once.
type logical struct {
	thread    string
	proc      *process
	op        *operation
	started   time.Time
	ended     time.Time
	succeeded bool
	failed    bool // it threw

	gaveUp    time.Time // the last time that the client hung up on it
	gaveUpOn  *shim     // on which shim; nil: it did not
	overtakes bool      // it came to another shim before the news of that could
}

// Result is what a history came to.
type Result struct {
	Calls      int
	Executions int
	Doubled    int // executions beyond the calls of equal body
	Dropped    int // successful calls of equal body beyond the executions
	Foreign    int // answers that belong to another body
	// Unexplained are executions too many during which no store was away and no
	// shim died.
	Unexplained int
	BadStates   int // subjects whose last execution had been overtaken by a later call
	Faults      map[string]int
	Timeline    []string
	OutOfOrder  []string // steps of calls that break storetest.Order; found in traced histories only
}

// Bad reports whether anything went wrong.
func (r Result) Bad() bool { return r.Doubled+r.Dropped+r.Foreign+r.BadStates > 0 }

// Seeded makes a history's choices from a seed.
func Seeded(seed uint64) Chooser {
	return rand.New(rand.NewPCG(seed, 0x5eed)) //nolint:gosec // chance that can be repeated
}

// Run plays the history of a seed.
func Run(f Family, seed uint64) Result { return Play(f, Seeded(seed), false) }

// Play plays a history; traced, it keeps its timeline.
func Play(f Family, choices Chooser, traced bool) Result {
	w := &world{Family: f, rng: choices, now: epoch}
	w.result.Faults = map[string]int{}
	if traced {
		w.trace = func(format string, args ...any) {
			w.result.Timeline = append(w.result.Timeline, fmt.Sprintf(format, args...))
		}
	}
	w.server = &server{w: w, valid: map[string]bool{}}
	w.buildShims()
	w.buildClients()
	w.play()
	for _, p := range w.procs {
		for _, t := range p.threads {
			t.stop()
		}
	}
	w.judge()
	for _, o := range w.orders {
		wrong, _ := o.Breaches()
		w.result.OutOfOrder = append(w.result.OutOfOrder, wrong...)
	}
	return w.result
}

func (w *world) buildShims() {
	shared, log, issued := w.held(newMemory(w)), &log{w: w}, map[access.Token]bool{}
	for i := range w.Shims {
		s := &shim{w: w, name: fmt.Sprintf("shim%d", i), record: shared, issued: issued}
		switch {
		case w.Network:
			s.record = w.held(newReplicated(w, s, log))
		case !w.Shared:
			s.record, s.issued = w.held(newMemory(w)), map[access.Token]bool{}
		}
		w.shims = append(w.shims, s)
	}
}

func (w *world) newMachine() *dedup.Machine { return dedup.New(dedup.Limits{Entries: w.Entries}) }

func (w *world) loses(p *process) bool {
	switch w.Loss {
	case Always:
		return true
	case SomeProcesses:
		return p.index%2 == 0
	case AtRandom:
		return w.chance(0.5)
	}
	return false
}

func pick(rng Chooser, r [2]int) int { return r[0] + rng.IntN(r[1]-r[0]+1) }

func (w *world) operations() []*operation {
	ops := []*operation{form("runJob", "1"), form("runJob", "2"), form("disableJob", "1"), form("enableJob", "1"), form("fetchJob", "1")}
	if w.Saves {
		ops = append(ops, save("1", "A"), save("1", "B"), form("deleteJob", "1"))
	}
	if w.Unlisted {
		ops = append(ops, form("batchRunJob", "1"), poll("listJobs", 200), poll("countJobs", 404))
	}
	return ops
}

func (w *world) buildClients() { //nolint:gocognit // one switch a kind of history
	ops := w.operations()
	w.ops = ops
	begin := time.Duration(0)
	for i := range pick(w.rng, w.Processes) {
		p := &process{w: w, index: i}
		w.procs = append(w.procs, p)
		threads := pick(w.rng, w.Threads)
		at := begin
		if w.Starting {
			at = w.between(0, 60*time.Millisecond)
		} else {
			begin += time.Second // constructors one after the other
		}
		starter := w.spawn(p, fmt.Sprintf("p%d", i), func(t *thread) { w.construct(p) })
		p.threads = append(p.threads, starter)
		w.after(at, func() {
			w.resume(starter)
		})
		for j := range threads {
			calls := w.anyOf
			if w.Own {
				calls = w.mostlyOwn
			}
			t := w.spawn(p, fmt.Sprintf("p%d.t%d", i, j), func(t *thread) { w.script(t, calls(ops, t.name)) })
			p.threads = append(p.threads, t)
		}
	}
	if !w.Starting {
		// All begin together, long after the last constructor.
		w.after(begin+2*window, w.beginScripts)
	}
	if w.Checked {
		w.after(begin+2*window+w.between(0, 200*time.Millisecond), func() {
			w.note("all tokens are forgotten")
			w.server.valid = map[string]bool{}
			if w.Replaced && !w.Shared {
				for _, s := range w.shims {
					s.replace()
				}
			}
		})
	}
	if w.Strangers {
		w.intrude(begin + 2*window)
	}
	if w.StoreFaults {
		w.plague(begin + 2*window)
	}
	if w.RestartRate > 0 {
		for _, s := range w.shims {
			w.after(begin+2*window+w.between(0, 300*time.Millisecond), func() {
				if w.chance(w.RestartRate) {
					s.restart(w.between(0, 20*time.Millisecond))
				}
			})
		}
	}
}

func (w *world) beginScripts() {
	for _, p := range w.procs {
		p.begin()
	}
}

func (p *process) begin() {
	for _, t := range p.threads[1:] {
		p.w.after(p.w.between(0, 10*time.Millisecond), func() { p.w.resume(t) })
	}
}

func (w *world) construct(p *process) {
	var addresses []string
	for i := range w.shims {
		addresses = append(addresses, fmt.Sprintf("s%d", (i+p.index)%len(w.shims)))
	}
	config := client.Config{Addresses: addresses, AppName: "app1", Password: "pw", Transport: p, Pause: w.preempt}
	var err error
	if w.Old {
		p.client, err = client.NewV4(config)
	} else {
		p.client, err = client.New(config)
	}
	if err != nil {
		p.client = nil
		w.note("p%d cannot start: %v", p.index, err)
	}
	if w.Starting {
		p.begin()
	}
}

// anyOf draws a thread's calls.
func (w *world) anyOf(ops []*operation, _ string) []*operation {
	calls := make([]*operation, pick(w.rng, w.Calls))
	for i := range calls {
		calls[i] = ops[w.rng.IntN(len(ops))]
	}
	return calls
}

// mostlyOwn draws calls for jobs that only this thread knows, a quarter of them
// made twice. Before and after them come calls that all threads make.
func (w *world) mostlyOwn(ops []*operation, thread string) []*operation {
	shared := ops[0]
	calls := []*operation{shared, shared}
	for i := range pick(w.rng, w.Calls) {
		own := form("runJob", fmt.Sprintf("%s.%d", thread, i))
		w.ops = append(w.ops, own)
		calls = append(calls, own)
		if w.chance(0.25) {
			calls = append(calls, own)
		}
	}
	return append(calls, shared)
}

// script is what one thread does.
func (w *world) script(t *thread, calls []*operation) {
	if t.proc.client == nil {
		return
	}
	for _, op := range calls {
		c := &logical{thread: t.name, proc: t.proc, op: op, started: w.now}
		w.calls = append(w.calls, c)
		t.call = c
		w.note("%s calls %s", t.name, op.label)
		r, err := t.proc.client.Do(op.request)
		t.call = nil
		c.ended = w.now
		if err != nil {
			c.failed = true
		} else {
			c.succeeded = r.Success
			if r.Success && r.Message != op.label && !op.read {
				w.result.Foreign++
				w.note("%s got the answer of %s", t.name, r.Message)
			}
		}
		w.note("%s has its answer to %s", t.name, op.label)
		t.sleep(w.between(w.Think[0], w.Think[1]))
	}
}

// preempt takes the processor from the running thread for a moment, now and then.
func (w *world) preempt() {
	if w.Preempt && w.chance(0.3) {
		w.current.sleep(w.between(0, ms))
	}
}
