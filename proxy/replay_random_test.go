package proxy

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"powerjob-shim/internal/standin/client"
	"powerjob-shim/internal/standin/legacy"
)

// lossy lowercases the names of the answers' headers on their way out of h.
func lossy(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(lossyWriter{w}, r) })
}

type lossyWriter struct{ http.ResponseWriter }

func (w lossyWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w lossyWriter) WriteHeader(status int) {
	h := w.Header()
	for name, values := range h {
		if strings.HasPrefix(strings.ToLower(name), "x-powerjob") {
			delete(h, name)
			h[strings.ToLower(name)] = values
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// randomSeeds is how many histories of each family are played.
var randomSeeds = uint64(9)

const lossyAddr = shimHost + ":7702"

// family is a kind of random history: those for which docs/promise.md names no
// limit.
type family struct {
	name      string
	addr      string
	processes int
	threads   int // of each process, sharing one client object
	cuts      bool
	slow      bool
}

// TestRandomHistoriesExecuteWhatWasCalled ties the simulation of the core
// (test/sim) to the shell: real HTTP, the real time limits, virtual time.
func TestRandomHistoriesExecuteWhatWasCalled(t *testing.T) {
	for i, f := range []family{
		{name: "header lost", addr: lossyAddr, processes: 1, threads: 1},
		{name: "header lost, processes", addr: lossyAddr, processes: 3, threads: 1},
		{name: "header lost, connections cut", addr: lossyAddr, processes: 3, threads: 1, cuts: true},
		{name: "header kept, threads", addr: shimAddr, processes: 3, threads: 3},
		{name: "header kept, threads, connections cut", addr: shimAddr, processes: 3, threads: 3, cuts: true},
		{name: "header kept, slow server", addr: shimAddr, processes: 3, threads: 1, slow: true},
	} {
		for seed := range randomSeeds {
			t.Run(fmt.Sprint(f.name, " ", seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { f.play(t, uint64(i), seed) })
			})
		}
	}
}

// count is how often a call with one body was made, succeeded and was executed.
type count struct{ called, succeeded, executed int }

// history collects the counts by call and body.
type history struct {
	mu     sync.Mutex
	counts map[string]*count // guarded by mu
}

func (h *history) of(call, input string) *count {
	key := call + " " + input
	if h.counts[key] == nil {
		h.counts[key] = &count{}
	}
	return h.counts[key]
}

// operations are few, so that equal ones meet.
var operations = []struct {
	name   string
	params client.Params
	input  string // see inputOf
}{
	{"runJob", client.Params{"jobId": 1, "instanceParams": "x"}, "jobId 1"},
	{"runJob", client.Params{"jobId": 2, "instanceParams": "x"}, "jobId 2"},
	{"copyJob", client.Params{"jobId": 1}, "jobId 1"},
	{"disableJob", client.Params{"jobId": 1}, "jobId 1"},
	{"enableJob", client.Params{"jobId": 1}, "jobId 1"},
	{"saveJob", client.Params{"id": 2, "jobName": "A"}, `id=2 appId=1 {"jobName":"A"}`},
	{"saveJob", client.Params{"id": 2, "jobName": "B"}, `id=2 appId=1 {"jobName":"B"}`},
	{"fetchJob", client.Params{"jobId": 1}, ""},
}

func (f family) play(t *testing.T, stream, seed uint64) {
	faults := rand.New(rand.NewPCG(seed, stream<<8|0xff))
	var mu sync.Mutex // guards faults
	w := newBubble(t, legacy.Options{Fault: func(legacy.Request) (fault legacy.Fault) {
		mu.Lock()
		defer mu.Unlock()
		fault.DelayBefore = time.Duration(faults.IntN(8000)) * time.Microsecond
		fault.DelayAfter = time.Duration(faults.IntN(2000)) * time.Microsecond
		if f.slow && faults.IntN(8) == 0 {
			fault.DelayAfter = time.Duration(1900+faults.IntN(4000)) * time.Millisecond
		}
		if f.cuts && faults.IntN(8) == 0 {
			fault.Cut = legacy.Cut(1 + faults.IntN(3))
		}
		return fault
	}}, nil)
	w.serve(t, lossyAddr, lossy(w.shim), w.shim.life)

	var users []*client.Client
	for p := range f.processes {
		for len(users) == p { // a constructor may be cut too, and its process then starts again
			transport := &client.SocketTransport{Dial: w.dialer(fmt.Sprintf("10.0.1.%d", p+1))}
			t.Cleanup(transport.CloseIdle)
			c, err := client.New(client.Config{Addresses: []string{f.addr}, AppName: "app1", Password: "pw", Transport: transport})
			if err == nil {
				users = append(users, c)
			}
		}
	}
	for i := range 2 {
		for w.server.Executed("saveJob") == i {
			_, _ = users[0].Call("saveJob", client.Params{"jobName": fmt.Sprint("job ", i)}) // the record tells
		}
	}
	time.Sleep(dedupWindow + time.Second)
	before := len(w.server.Executions())

	h := history{counts: map[string]*count{}}
	var wg sync.WaitGroup
	script := rand.New(rand.NewPCG(seed, stream<<8))
	direct := f.patchedTwin(t)
	for _, user := range users {
		for range f.threads {
			rng := rand.New(rand.NewPCG(script.Uint64(), seed))
			wg.Go(func() {
				for range 12 {
					time.Sleep(time.Duration(rng.IntN(12_000)) * time.Microsecond)
					op := operations[rng.IntN(len(operations))]
					r, err := user.Call(op.name, op.params)
					h.mu.Lock()
					n := h.of(op.name, op.input)
					n.called++
					if err == nil && r.Success {
						n.succeeded++
					}
					h.mu.Unlock()
					if job, ok := w.server.State().Instances[r.ID()]; op.name == "runJob" && r.Success && (!ok || job.JobID != int64(op.params["jobId"].(int))) {
						t.Errorf("%s %s got an answer about job %d", op.name, op.input, job.JobID)
					}
					if direct != nil {
						must(t, direct.user, op.name, op.params)
					}
				}
			})
		}
	}
	wg.Wait()
	time.Sleep(time.Minute) // what is still at the server ends
	for _, e := range w.server.Executions()[before:] {
		h.of(e.Call, inputOf(e)).executed++
	}
	for key, n := range h.counts {
		if n.executed > n.called {
			t.Errorf("%s: called %d times, executed %d times", key, n.called, n.executed)
		}
		// Equal saves are one call, by the operator's choice.
		if !strings.HasPrefix(key, "saveJob") && !strings.HasPrefix(key, "fetch") && n.executed < n.succeeded {
			t.Errorf("%s: %d successful calls, executed %d times", key, n.succeeded, n.executed)
		}
	}
	if direct != nil && !reflect.DeepEqual(w.server.State(), direct.server.State()) {
		t.Errorf("the server ended as %+v, a patched one as %+v", w.server.State(), direct.server.State())
	}
	synctest.Wait()
	if n := w.shim.store.Stats().InFlight; n != 0 {
		t.Errorf("%d calls are still in flight", n)
	}
}

// twin is a patched server that is called without a shim.
type twin struct {
	server *legacy.Server
	user   *client.Client
}

// patchedTwin is nil where histories are not deterministic.
func (f family) patchedTwin(t *testing.T) *twin {
	if f.processes*f.threads > 1 || f.cuts || f.slow {
		return nil
	}
	net := newMemoryNet()
	d := &twin{server: legacy.New(legacy.Options{Mode: legacy.Patched})}
	net.serve(t, serverAddr, d.server, t.Context())
	transport := &client.SocketTransport{Dial: net.dialer("10.0.1.1")}
	t.Cleanup(transport.CloseIdle)
	var err error
	d.user, err = client.New(client.Config{Addresses: []string{serverAddr}, AppName: "app1", Password: "pw", Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		must(t, d.user, "saveJob", client.Params{"jobName": fmt.Sprint("job ", i)})
	}
	return d
}

// inputOf tells executions of one call apart as operations does.
func inputOf(e legacy.Execution) string {
	if e.Call == "saveJob" {
		return e.Input
	}
	return fmt.Sprint("jobId ", e.Subject)
}
