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
// threads at once, and besides deliberate pairs of equal runJob calls: on one
// thread after another, and at the same moment.
func TestTwoProcessesOfEightThreadsBehindHAProxy(t *testing.T) {
	need(t, "java", "mvn", "haproxy")
	server, address := startStandIn(t, legacy.Options{})
	shim := startShim(t, address)
	front := startHAProxy(t, shim.listen)
	clients := []*javaClient{newClient(t, v510, standInApp, front), newClient(t, v510, standInApp, front)}
	shared := clients[0].must(t, 0, "saveJob", job("shared")).id(t)

	var all sync.WaitGroup
	for p, client := range clients {
		for thread := range 8 {
			all.Go(func() {
				client.must(t, thread, "runJob", shared, "the same", 0)
				everyChange(t, client, thread, fmt.Sprintf("process %d, thread %d", p, thread), stopWorkflow(t, client, thread))
				for range 2 {
					client.must(t, thread, "runJob", shared, "the same", 0)
				}
			})
		}
	}
	all.Wait()
	changes(t, clients...)
	compareCalls(t, "executed", server.Executed, 1, clients...)
	t.Logf("called %d, executed %d, forwarded %d, replayed %d, coalesced %d", changes(t, clients...), server.Executed(""),
		shim.decisions(t, "forwarded"), shim.decisions(t, "replayed"), shim.decisions(t, "coalesced"))
}

// stopWorkflow ends a workflow instance on the stand-in, which runs nothing, so
// that it may be retried or marked.
func stopWorkflow(t *testing.T, c *javaClient, thread int) func(wfInstance int64) {
	return func(wfInstance int64) { c.must(t, thread, "stopWorkflowInstance", wfInstance) }
}
