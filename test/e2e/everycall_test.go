package e2e

import (
	"fmt"
	"sync"
	"testing"

	"powerjob-shim/internal/legacy"
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
	need(t, "java", "mvn", "haproxy")
	for _, mode := range []legacy.Mode{legacy.Legacy, legacy.Patched, legacy.CheckOn} {
		for _, lossy := range []bool{false, true} {
			name := fmt.Sprintf("server %v", mode)
			if lossy {
				name += ", haproxy loses the header"
			}
			t.Run(name, func(t *testing.T) {
				server, address := startStandIn(t, legacy.Options{Mode: mode})
				shim := startShim(t, address)
				front, repeated := shim.listen, 0
				if lossy {
					front = startHAProxy(t, shim.listen)
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

// TestTwoProcessesOfEightThreadsBehindHAProxy makes every changing call on all
// threads of two processes, and besides deliberate pairs of equal runJob calls,
// on one thread and on many. The threads of a process take turns, those of the
// other process call at the same time: then all is executed once, although the
// client sends all of it twice.
func TestTwoProcessesOfEightThreadsBehindHAProxy(t *testing.T) {
	called, off, server, shim := manyThreads(t, true)
	if off != 0 || server.Executed("") != called {
		t.Errorf("called %d, executed %d", called, server.Executed(""))
	}
	if got := shim.decisions(t, "replayed"); got != called {
		t.Errorf("%d calls were replayed, want each of %d", got, called)
	}
}

// TestThreadsThatShareATokenBehindHAProxy lets all threads call at once. Then
// one thread's login overwrites another's, and the shim cannot always tell whose
// re-send it sees (docs/promise.md): a few calls may be executed twice.
func TestThreadsThatShareATokenBehindHAProxy(t *testing.T) {
	called, off, _, _ := manyThreads(t, false)
	t.Logf("%d of %d calls were executed too often or not at all; limit of docs/promise.md: threads of one client and equal calls", off, called)
	if off > called/50 {
		t.Errorf("of %d calls %d were executed too often or not at all: more than the limit accounts for", called, off)
	}
}

// manyThreads has two processes of eight threads make all calls through haproxy
// and the shim. It returns how many changing calls were made, and by how many
// the requests that the server got differ from that, summed over the calls.
func manyThreads(t *testing.T, turns bool) (called, off int, server *legacy.Server, s *shim) {
	need(t, "java", "mvn", "haproxy")
	server, address := startStandIn(t, legacy.Options{})
	s = startShim(t, address)
	front := startHAProxy(t, s.listen)
	clients := []*javaClient{newClient(t, v510, standInApp, front), newClient(t, v510, standInApp, front)}
	shared := clients[0].must(t, 0, "saveJob", job("shared")).id(t)

	var all sync.WaitGroup
	for p, client := range clients {
		client.oneAtATime = turns
		for thread := range 8 {
			all.Go(func() {
				for range 2 {
					client.must(t, thread, "runJob", shared, "the same", 0)
				}
				made := repeatableChanges(t, client, thread, fmt.Sprintf("process %d, thread %d", p, thread))
				if turns { // else a call that is executed twice may say that it failed
					onceOnlyChanges(t, client, thread, made, stopWorkflow(t, client, thread))
				}
				client.must(t, thread, "runJob", shared, "the same", 0)
			})
		}
	}
	all.Wait()
	for _, call := range changingCalls {
		n, got := clients[0].calls()[call]+clients[1].calls()[call], server.Received(call)
		if n != got {
			t.Logf("%s: called %d times, received %d times", call, n, got)
		}
		called += n
		off += max(n-got, got-n)
	}
	t.Logf("called %d, executed %d, forwarded %d, replayed %d, coalesced %d", called, server.Executed(""),
		s.decisions(t, "forwarded"), s.decisions(t, "replayed"), s.decisions(t, "coalesced"))
	return called, off, server, s
}

// stopWorkflow ends a workflow instance on the stand-in, which runs nothing, so
// that it may be retried or marked.
func stopWorkflow(t *testing.T, c *javaClient, thread int) func(wfInstance int64) {
	return func(wfInstance int64) { c.must(t, thread, "stopWorkflowInstance", wfInstance) }
}
