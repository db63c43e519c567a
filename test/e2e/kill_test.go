package e2e

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"powerjob-shim/internal/await"
	"powerjob-shim/internal/standin/legacy"
)

// attempt is one logical call of TestEightThreadsWhileAShimIsKilled. No two are
// equal, so that each can be found again on the server.
type attempt struct {
	name       string
	start, end time.Time
	result     result
	executed   int
}

// TestEightThreadsWhileAShimIsKilled has eight threads of one client object call
// again and again, kills the shim (kill -9) in the middle and starts another at
// its address. Each call that was executed more than once must fall under a limit of
// docs/promise.md, which the report names.
func TestEightThreadsWhileAShimIsKilled(t *testing.T) {
	t.Parallel()
	need(t, "java", "mvn", "haproxy")
	for _, lossy := range []bool{false, true} {
		name := "the header reaches the client"
		if lossy {
			name = "haproxy loses the header"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, address := startStandIn(t, legacy.Options{})
			first := startShim(t, address)
			front := first.Listen
			if lossy {
				front = startHAProxy(t, front)
			}
			client := newClient(t, v510, standInApp, front)
			shared := client.must(t, 0, "saveJob", job("shared")).id(t)

			calls := call(client, shared)
			calls.await(t, 1000)
			killed := time.Now()
			first.Kill()
			startShimAt(t, first.Listen, address)
			back := time.Now()
			calls.await(t, 1000)
			report(t, calls.end(), server, killed, back, lossy)
		})
	}
}

// calling is eight threads that save and run jobs until end.
type calling struct {
	all  sync.WaitGroup
	stop atomic.Bool

	mu   sync.Mutex // protects made
	made []attempt
}

func call(c *javaClient, shared int64) *calling {
	r := new(calling)
	for thread := range 8 {
		r.all.Go(func() {
			for i := 0; !r.stop.Load(); i++ {
				a := attempt{name: fmt.Sprintf("thread %d, call %d", thread, i), start: time.Now()}
				if i%2 == 0 {
					a.result = c.call(thread, "runJob", shared, a.name, 0)
				} else {
					a.result = c.call(thread, "saveJob", job(a.name))
				}
				a.end = time.Now()
				r.mu.Lock()
				r.made = append(r.made, a)
				r.mu.Unlock()
				time.Sleep(rand.N(20 * time.Millisecond))
			}
		})
	}
	return r
}

// await waits until n more calls have succeeded.
func (r *calling) await(t *testing.T, n int) {
	t.Helper()
	succeeded := func() (n int) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, a := range r.made {
			if a.result.Exception == "" && a.result.Success {
				n++
			}
		}
		return n
	}
	from := succeeded()
	await.That(t, fmt.Sprint(n, " calls succeed"), func() bool { return succeeded() >= from+n }, func() string { return "" })
}

func (r *calling) end() []attempt {
	r.stop.Store(true)
	r.all.Wait()
	return r.made
}

// report counts what became of each call and fails for what no limit names.
func report(t *testing.T, attempts []attempt, server *legacy.Server, killed, back time.Time, lossy bool) {
	t.Helper()
	executed := map[string]int{}
	state := server.State()
	for _, j := range state.Jobs {
		executed[j.Name]++
	}
	for _, i := range state.Instances {
		executed[i.Params]++
	}
	total, threw, sharing := 0, 0, 0
	for _, a := range attempts {
		a.executed = executed[a.name]
		total += a.executed
		atKill := a.start.Before(back) && a.end.After(killed)
		failed := a.result.Exception != "" || !a.result.Success
		if failed {
			threw++
		}
		switch {
		case failed && !atKill:
			t.Errorf("%s failed while the shim was there: %v", a.name, a.result)
		case !failed && a.executed == 0:
			t.Errorf("%s succeeded, but was not executed", a.name)
		case a.executed < 2:
		case atKill && lossy:
			t.Logf("%s was executed %d times: a shim restarts between an answer and its re-send", a.name, a.executed)
		case atKill:
			t.Logf("%s was executed %d times: a shim dies with a call in flight", a.name, a.executed)
		case lossy:
			sharing++
			t.Logf("%s was executed %d times: threads of one client share a token", a.name, a.executed)
		default:
			t.Errorf("%s was executed %d times, and no limit accounts for it", a.name, a.executed)
		}
	}
	if sharing > len(attempts)/100 {
		t.Errorf("%d of %d calls were executed twice because threads share a token: more than 1 %%", sharing, len(attempts))
	}
	t.Logf("called %d, executed %d, failed at the kill %d", len(attempts), total, threw)
}
