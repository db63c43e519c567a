package e2e

import (
	"fmt"
	"sync"
	"testing"

	"powerjob-shim/internal/standin/legacy"
)

// TestHAProxyAloneBreaksAPatchedServer shows what the tests below would see
// without the shim: haproxy lowercases the header that the server sent.
func TestHAProxyAloneBreaksAPatchedServer(t *testing.T) {
	need(t, "java", "mvn", "haproxy")
	server, address := startStandIn(t, legacy.Options{Mode: legacy.Patched})
	client := newClient(t, v510, standInApp, startHAProxy(t, address))
	repeatableChanges(t, client, 0, "nightly")
	compareCalls(t, "executed", server.Executed, 2, client)
}

// TestEveryChangingCallIsExecutedOnce has haproxy between client and shim in
// its second half, so that the client sends everything twice.
func TestEveryChangingCallIsExecutedOnce(t *testing.T) {
	t.Parallel()
	need(t, "java", "mvn", "haproxy")
	for _, mode := range []legacy.Mode{legacy.Legacy, legacy.Patched, legacy.CheckOn} {
		for _, lossy := range []bool{false, true} {
			name := fmt.Sprintf("server %v", mode)
			if lossy {
				name += ", haproxy loses the header"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				server, address := startStandIn(t, legacy.Options{Mode: mode})
				shim := startShim(t, address)
				front, repeated := shim.Listen, 0
				if lossy {
					front = startHAProxy(t, shim.Listen)
				}
				client := newClient(t, v510, standInApp, front)
				everyChange(t, client, 0, "nightly", stopWorkflow(t, client, 0))
				if called := changes(t, client); lossy {
					repeated = called
				}
				compareCalls(t, "executed", server.Executed, 1, client)
				compareCalls(t, "received", server.Received, 1, client)
				if got := shim.decisions(t, "replayed"); got != repeated {
					t.Errorf("%d calls were replayed, want %d", got, repeated)
				}
				if got := shim.metric(t, "powerjob_shim_resends_total"); got != repeated {
					t.Errorf("%d re-sends were counted, want %d", got, repeated)
				}
			})
		}
	}
}

// TestTwoProcessesOfEightThreadsBehindHAProxy has all threads of two processes
// call at once: each makes every changing call, and besides a deliberate pair of
// equal runJob calls. All is executed once, although the client sends all of it
// twice and the threads of a process overwrite each other's tokens.
func TestTwoProcessesOfEightThreadsBehindHAProxy(t *testing.T) {
	run := startManyThreads(t)
	run.all(t, func(client *javaClient, thread int, name string) {
		made := repeatableChanges(t, client, thread, name)
		for range 2 {
			client.must(t, thread, "runJob", made.job, "the same", 0)
		}
	})
	run.compare(t, 0)
}

// TestEqualCallsOfThreadsThatTakeTurns has all threads make the same call too.
// Those of a process take turns, those of the other call at the same time.
func TestEqualCallsOfThreadsThatTakeTurns(t *testing.T) {
	run := startManyThreads(t)
	for _, client := range run.clients {
		client.oneAtATime = true
	}
	run.all(t, func(client *javaClient, thread int, name string) {
		for range 2 {
			client.must(t, thread, "runJob", run.shared, "the same", 0)
		}
		made := repeatableChanges(t, client, thread, name)
		onceOnlyChanges(t, client, thread, made, stopWorkflow(t, client, thread))
		client.must(t, thread, "runJob", run.shared, "the same", 0)
	})
	if called, got := run.compare(t, 0), run.shim.decisions(t, "replayed"); got != called {
		t.Errorf("%d calls were replayed, want each of %d", got, called)
	}
}

// TestEqualCallsOfThreadsAtOnce does the same without turns. Then the shim cannot
// always tell whose re-send it sees (docs/promise.md): a few calls may be
// executed twice.
func TestEqualCallsOfThreadsAtOnce(t *testing.T) {
	run := startManyThreads(t)
	run.all(t, func(client *javaClient, thread int, name string) {
		for range 2 {
			client.must(t, thread, "runJob", run.shared, "the same", 0)
		}
		repeatableChanges(t, client, thread, name) // the others may say that they failed, if executed twice
		client.must(t, thread, "runJob", run.shared, "the same", 0)
	})
	run.compare(t, 0.02)
}

// manyThreads are two processes of eight threads behind haproxy and a shim.
type manyThreads struct {
	server  *legacy.Server
	shim    *shim
	clients []*javaClient
	shared  int64 // a job
}

func startManyThreads(t *testing.T) *manyThreads {
	need(t, "java", "mvn", "haproxy")
	server, address := startStandIn(t, legacy.Options{})
	shim := startShim(t, address)
	front := startHAProxy(t, shim.Listen)
	clients := []*javaClient{newClient(t, v510, standInApp, front), newClient(t, v510, standInApp, front)}
	return &manyThreads{server, shim, clients, clients[0].must(t, 0, "saveJob", job("shared")).id(t)}
}

// all runs a script on each thread and waits for them.
func (m *manyThreads) all(t *testing.T, script func(client *javaClient, thread int, name string)) {
	t.Helper()
	var running sync.WaitGroup
	for p, client := range m.clients {
		for thread := range 8 {
			running.Go(func() { script(client, thread, fmt.Sprintf("process %d, thread %d", p, thread)) })
		}
	}
	running.Wait()
}

// compare holds how often the server got each changing call against how often it
// was called, and returns how many calls there were. A share of them may have come
// too often or not at all.
func (m *manyThreads) compare(t *testing.T, allowed float64) (called int) {
	t.Helper()
	off := 0
	for _, call := range changingCalls {
		n, got := m.clients[0].calls()[call]+m.clients[1].calls()[call], m.server.Received(call)
		if n != got {
			t.Logf("%s: called %d times, received %d times", call, n, got)
		}
		called += n
		off += max(n-got, got-n)
	}
	t.Logf("called %d, executed %d, forwarded %d, replayed %d, coalesced %d", called, m.server.Executed(""),
		m.shim.decisions(t, "forwarded"), m.shim.decisions(t, "replayed"), m.shim.decisions(t, "coalesced"))
	if float64(off) > allowed*float64(called) {
		t.Errorf("of %d calls %d were executed too often or not at all, allowed are %g %%", called, off, allowed*100)
	}
	if allowed > 0 {
		return called
	}
	if m.server.Executed("") != called {
		t.Errorf("called %d, executed %d", called, m.server.Executed(""))
	}
	if got := m.shim.decisions(t, "replayed") + m.shim.decisions(t, "coalesced"); got != called {
		t.Errorf("%d calls got the first one's answer, want each of %d", got, called)
	}
	return called
}

// stopWorkflow ends a workflow instance on the stand-in, which runs nothing, so
// that it may be retried or marked.
func stopWorkflow(t *testing.T, c *javaClient, thread int) func(wfInstance int64) {
	return func(wfInstance int64) { c.must(t, thread, "stopWorkflowInstance", wfInstance) }
}
