package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"powerjob-shim/internal/standin/legacy"
)

// everyPythonCall makes every call of the Python client at least once, and prints
// how often it made each, by OpenAPI name. How a workflow instance is brought to
// an end that may be retried or marked depends on the server.
//
// The client's enums are numbers, which no server takes: names are.
const everyPythonCall = `
import json, sys, time
from collections import Counter
address, app, password, fail = sys.argv[1:]
client = PowerJobClient(ClientConfig(app, password, [address], connection_timeout=60, read_timeout=60))
names = {"save_workflow_node": "addWorkflowNode", "stop_workflow_instance": "stopWfInstance", "retry_workflow_instance": "retryWfInstance",
    "fetch_workflow_instance_info": "fetchWfInstanceInfo", "query_instance_info": "queryInstance", "run_job": "runJob"}
made = Counter()

def call(method, *args, may_fail=None):
    head, *tail = method.split("_")
    made[names.get(method, head + "".join(part.title() for part in tail))] += 1
    r = getattr(client, method)(*args)
    if not r.success and not (may_fail and may_fail in str(r.message)):
        raise SystemExit("%s%r: %r" % (method, args, r))
    return r.data

def end(run):
    if fail == "stop":
        return call("stop_workflow_instance", run)
    for _ in range(600):
        if call("fetch_workflow_instance_info", run)["status"] == 3: # FAILED
            return
        time.sleep(0.1)
    raise SystemExit("the workflow instance does not fail")

minute = 60000
job = call("save_job", {"job_name": "nightly", "job_description": "d", "time_expression_type": "API", "execute_type": "STANDALONE",
    "processor_type": "BUILT_IN", "processor_info": "com.example.Processor", "enable": True})
copy = call("copy_job", job)
call("disable_job", job)
call("enable_job", job)
call("delete_job", copy)
for read in ("export_job", "fetch_job"):
    call(read, job)
call("fetch_all_job")
call("query_job", {"job_name_eq": "nightly"})

canceled = call("run_job", job, "to cancel, with ü & = +", minute)
call("fetch_instance_status", canceled)
call("fetch_instance_info", canceled)
# On 4.3.9 a fault of the server's own: it declares an abstract type.
call("query_instance_info", {"job_id_eq": job}, may_fail="Cannot construct instance of")
call("cancel_instance", canceled)
stopped = call("run_job", job, "to stop", minute)
call("stop_instance", stopped)
call("retry_instance", stopped)

node = call("save_workflow_node", [{"type": 1, "job_id": job, "node_name": "n", "node_params": "p", "enable": True, "skip_when_failed": False}])[0]["id"]
flow = call("save_workflow", {"wf_name": "w", "wf_description": "d", "time_expression_type": "API", "max_wf_instance_num": 10, "enable": True,
    "dag": {"nodes": [{"node_id": node}], "edges": []}})
copy = call("copy_workflow", flow)
call("fetch_workflow", flow)
call("disable_workflow", flow)
call("enable_workflow", flow)
call("delete_workflow", copy)
waiting = call("run_workflow", flow, "p", minute)
call("fetch_workflow_instance_info", waiting)
call("stop_workflow_instance", waiting)
failed = call("run_workflow", flow)
end(failed)
call("mark_workflow_node_as_success", failed, node)
again = call("run_workflow", flow)
end(again)
call("retry_workflow_instance", again)
public = [m for m in vars(PowerJobClient) if "_" in m and not m.startswith("_") and callable(getattr(client, m))]
print(json.dumps({"made": made, "methods": len(public)}))
`

// TestEveryCallOfThePythonClientIsExecutedOnce has the published Python client
// call everything, through the bridge on a real 4.3.9 server and on the stand-in
// for 5.1.0. haproxy lowercases the header, which this client does not mind. All
// runs but the first find a server that is known to lack runJob2.
func TestEveryCallOfThePythonClientIsExecutedOnce(t *testing.T) {
	need(t, "python3", "haproxy")
	run := func(t *testing.T, front string, app account, fail string, received func(call string) int) map[string]int {
		t.Helper()
		var told struct {
			Made    map[string]int
			Methods int
		}
		out := runPython(t, everyPythonCall, front, app.name, app.password, fail)
		if err := json.Unmarshal([]byte(out), &told); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if len(told.Made) != told.Methods {
			t.Errorf("made %d different calls, the client has %d: %v", len(told.Made), told.Methods, told.Made)
		}
		for call, n := range told.Made {
			if got := received(call); got != n {
				t.Errorf("%s: called %d times, executed %d times", call, n, got)
			}
		}
		for _, call := range changingCalls {
			if told.Made[call] == 0 {
				t.Errorf("%s was never called", call)
			}
		}
		return told.Made
	}
	for _, hop := range []bool{false, true} {
		through := func(t *testing.T, s *shim) string {
			if hop {
				return startHAProxy(t, s.Listen)
			}
			return s.Listen
		}
		t.Run(fmt.Sprintf("stand-in, haproxy %t", hop), func(t *testing.T) {
			server, address := startStandIn(t, legacy.Options{})
			s := startShim(t, address)
			made := run(t, through(t, s), standInApp, "stop", func(call string) int {
				if slices.Contains(changingCalls, call) {
					return server.Executed(call)
				}
				return server.Received(call)
			})
			wantTranslated(t, s, made["runJob"])
		})
		t.Run(fmt.Sprintf("a real 4.3.9 server behind the bridge, haproxy %t", hop), func(t *testing.T) {
			app := needRealServer(t).newApp(t)
			counter := startAuthStub(t, app) // it would answer authApp, but is never asked
			s := runConfigured(t, "127.0.0.1:0", counter.address, bridgeConfig(app.account))
			made := run(t, through(t, s), app.account, "wait", counter.count)
			wantTranslated(t, s, made["runJob"])
			if got := app.count(t, "/instance/list"); got < made["runJob"] {
				t.Errorf("the server has %d instances, of %d runs", got, made["runJob"])
			}
			if got := app.count(t, "/job/list"); got != 1 { // the copy is deleted
				t.Errorf("the server has %d jobs, want one", got)
			}
			if got := counter.count("authApp"); got != 0 {
				t.Errorf("authApp reached the server %d times", got)
			}
		})
	}
}

// wantTranslated holds how many runJob2 were sent as runJob, and that no client
// repeated anything.
func wantTranslated(t *testing.T, s *shim, runs int) {
	t.Helper()
	if got := s.metric(t, "powerjob_shim_translated_total", "call", "runJob2"); got != runs || runs == 0 {
		t.Errorf("%d calls were translated, of %d", got, runs)
	}
	if got := s.metric(t, "powerjob_shim_resends_total"); got != 0 {
		t.Errorf("%d re-sends were counted", got)
	}
	if got := s.metric(t, "powerjob_shim_gate_total", "decision", "refused"); got != 0 {
		t.Errorf("the gate refused %d calls", got)
	}
}
