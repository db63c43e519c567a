package e2e

import (
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"powerjob-shim/internal/standin/legacy"
)

const enforcing = "auth: {mode: enforce}\n"

// TestARestartBehindAnEnforcingGateLosesNoCallAndDoublesNone stops the shim
// with SIGTERM in the middle of 200 saves and starts another at its address,
// which knows no token. A call that finds nobody there throws, and its caller
// calls again.
func TestARestartBehindAnEnforcingGateLosesNoCallAndDoublesNone(t *testing.T) {
	t.Parallel()
	const calls = 200
	for _, threads := range []int{1, 8} {
		t.Run(fmt.Sprint(threads, " threads"), func(t *testing.T) {
			t.Parallel()
			need(t, "java", "mvn")
			server, address := startStandIn(t, legacy.Options{})
			first := runConfigured(t, "127.0.0.1:0", address, enforcing)
			client := newClient(t, v510, standInApp, first.Listen)
			var (
				next   atomic.Int64
				thrown atomic.Int64
				second *shim
				all    sync.WaitGroup
			)
			for thread := range threads {
				all.Go(func() {
					for n := next.Add(1); n <= calls; n = next.Add(1) {
						if n == calls/2 {
							first.Signal(t, syscall.SIGTERM)
							<-first.Ended
							second = runConfigured(t, first.Listen, address, enforcing)
						}
						var r result
						for try := 0; try < 100_000; try++ {
							if r = client.call(thread, "saveJob", job(fmt.Sprint("job ", n))); r.Exception == "" {
								break
							}
							thrown.Add(1)
						}
						if !r.Success {
							t.Errorf("save %d: %v", n, r)
						}
					}
				})
			}
			all.Wait()
			t.Logf("%d calls were thrown while nobody listened", thrown.Load())
			if got := server.Executed("saveJob"); got != calls {
				t.Errorf("%d saves were executed %d times", calls, got)
			}
			if got := len(server.State().Jobs); got != calls {
				t.Errorf("%d saves made %d jobs", calls, got)
			}
			refused := second.metric(t, "powerjob_shim_gate_total", "decision", "refused", "reason", "unknown_token")
			if refused < 1 || refused > threads {
				t.Errorf("the second shim refused %d calls, want at most one for each thread", refused)
			}
		})
	}
}

// TestTheGateRefusesWhoHasNoToken has a 4.3.6 client, which has none.
func TestTheGateRefusesWhoHasNoToken(t *testing.T) {
	need(t, "java", "mvn")
	server, address := startStandIn(t, legacy.Options{})
	for config, may := range map[string]bool{
		enforcing: false,
		"auth: {mode: enforce, legacy_clients: {allow: [127.0.0.0/8], apps: [app1]}}\n": true,
	} {
		shim := runConfigured(t, "127.0.0.1:0", address, config)
		client := newClient(t, v436, standInApp, shim.Listen)
		r := client.call(0, "saveJob", job("nightly"))
		if r.Success != may {
			t.Errorf("with %s: %v", config, r)
		}
	}
	if got := server.Executed("saveJob"); got != 1 {
		t.Errorf("the server executed %d saves, want that of the client which may", got)
	}
}
