package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// runConfigured starts a shim with a configuration in front of a server.
func runConfigured(t testing.TB, listen, upstream, config string) *shim {
	t.Helper()
	file := fileWith(t, "config.yaml", config)
	return runShim(t, "--config", file, "--listen", listen, "--upstream", "http://"+upstream)
}

// bridgeConfig has a login bridge for one app and an enforcing gate.
func bridgeConfig(a account) string {
	return fmt.Sprintf("upstreams: {default: {login_bridge: {apps: [{name: %s, password: %q}]}}}\nauth: {mode: enforce}\n", a.name, a.password)
}

// TestEveryCallOfA5xClientOnARealServerThroughTheBridge has nothing but the
// shim between today's clients and a real 4.3.9 server, besides a counter.
func TestEveryCallOfA5xClientOnARealServerThroughTheBridge(t *testing.T) {
	t.Parallel()
	for _, version := range []string{v510, v511} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			app := needRealServer(t).newApp(t)
			counter := startAuthStub(t, app) // it would answer authApp, but is never asked
			shim := runConfigured(t, "127.0.0.1:0", counter.address, bridgeConfig(app.account))
			client := newClient(t, version, app.account, shim.Listen)
			everyChange(t, client, 0, "nightly", func(wfInstance int64) { awaitFailure(t, client, wfInstance) })
			compareCalls(t, "received", counter.count, 1, client)
			compareRows(t, app, client, 1)

			made := repeatableChanges(t, client, 0, "to read")
			instance := client.must(t, 0, "runJob", made.job, "p", minute).id(t)
			reads := map[string][]any{
				"exportJob": {made.job}, "fetchJob": {made.job}, "fetchAllJob": nil, "queryJob": {map[string]any{"jobNameLike": "to%"}},
				"fetchInstanceStatus": {instance}, "fetchInstanceInfo": {instance}, "fetchWorkflow": {made.workflow},
			}
			if version != v510 { // whose client does not have it
				reads["queryInstanceInfo"] = []any{map[string]any{"jobIdEq": made.job}}
			}
			for method, args := range reads {
				r := client.call(0, method, args...)
				// A fault of the server's own: it declares an abstract type.
				if faulty := method == "queryInstanceInfo" && strings.Contains(r.Message, "Cannot construct instance of `tech.powerjob.common.PowerQuery`"); !r.Success && !faulty {
					t.Errorf("%s: %v", method, r)
				}
				if got := counter.count(openAPIName(method)); got != 1 {
					t.Errorf("the server received %s %d times, want once", method, got)
				}
			}
			if got := counter.count("authApp"); got != 0 {
				t.Errorf("authApp reached the server %d times", got)
			}
			if got := shim.metric(t, "powerjob_shim_gate_total", "decision", "refused"); got != 0 {
				t.Errorf("the gate refused %d calls", got)
			}
		})
	}
}

func TestWithoutTheBridgeA5xClientCannotStartOnARealServer(t *testing.T) {
	app := needRealServer(t).newApp(t)
	if _, constructed := startClient(t, v510, app.account, startShim(t, app.server.address).Listen); constructed.Exception == "" {
		t.Error("the constructor returns")
	}
}

func TestAWrongPasswordIsTheClientsOwnError(t *testing.T) {
	app := needRealServer(t).newApp(t)
	shim := runConfigured(t, "127.0.0.1:0", app.server.address, bridgeConfig(app.account))
	for _, c := range []struct {
		account account
		want    string
	}{
		{account{app.name, "wrong"}, "INCORRECT_PASSWORD"},
		{account{"nobody", "pw"}, "INVALID_APP:nobody"},
	} {
		_, constructed := startClient(t, v510, c.account, shim.Listen)
		if !strings.Contains(constructed.Exception, c.want) {
			t.Errorf("%v: the constructor throws %q, want %s in it", c.account, constructed.Exception, c.want)
		}
	}
	if got := shim.metric(t, "powerjob_shim_logins_total", "kind", "bridged", "result", "refused"); got != 2 {
		t.Errorf("%d refused logins were counted, want 2", got)
	}
}
