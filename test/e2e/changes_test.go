package e2e

import (
	"encoding/json"
	"testing"
)

// changingCalls are all changing calls of the 5.1.0 client, by OpenAPI name.
var changingCalls = []string{
	"saveJob", "copyJob", "disableJob", "enableJob", "deleteJob", "runJob",
	"stopInstance", "cancelInstance", "retryInstance",
	"saveWorkflow", "copyWorkflow", "disableWorkflow", "enableWorkflow", "deleteWorkflow", "runWorkflow",
	"addWorkflowNode", "stopWfInstance", "retryWfInstance", "markWorkflowNodeAsSuccess",
}

// minute is a delay of a run, in milliseconds, that no test waits for.
const minute = 60_000

// everyChange makes every changing call of the client at least once on one of
// its threads. fail brings a started workflow instance to an end that may be
// retried or marked. The name goes into whatever is made.
func everyChange(t *testing.T, c *javaClient, thread int, name string, fail func(wfInstance int64)) {
	t.Helper()
	made := repeatableChanges(t, c, thread, name)
	onceOnlyChanges(t, c, thread, made, fail)
}

// things are what repeatableChanges made.
type things struct{ job, workflow, node int64 }

// repeatableChanges makes those changing calls that a server accepts a second
// time.
func repeatableChanges(t *testing.T, c *javaClient, thread int, name string) things {
	t.Helper()
	must := func(method string, args ...any) result { t.Helper(); return c.must(t, thread, method, args...) }
	made := things{job: jobChanges(t, c, thread, name)}
	var nodes []struct{ ID int64 }
	node := must("saveWorkflowNode", []any{map[string]any{"type": 1, "jobId": made.job, "nodeName": name, "nodeParams": "p", "enable": true, "skipWhenFailed": false}})
	if err := json.Unmarshal(node.Data, &nodes); err != nil || len(nodes) != 1 {
		t.Errorf("saveWorkflowNode: %v", node)
		return made
	}
	made.node = nodes[0].ID
	made.workflow = must("saveWorkflow", map[string]any{
		"wfName": name, "wfDescription": "made by a test", "timeExpressionType": "API", "maxWfInstanceNum": 10, "enable": true,
		"dag": map[string]any{"nodes": []any{map[string]any{"nodeId": made.node}}, "edges": []any{}},
	}).id(t)
	copied := must("copyWorkflow", made.workflow).id(t)
	must("disableWorkflow", made.workflow)
	must("enableWorkflow", made.workflow)
	must("deleteWorkflow", copied)
	must("runWorkflow", made.workflow, "to run", minute)
	return made
}

// jobChanges are those of repeatableChanges that are about a job, which it
// returns.
func jobChanges(t *testing.T, c *javaClient, thread int, name string) int64 {
	t.Helper()
	must := func(method string, args ...any) result { t.Helper(); return c.must(t, thread, method, args...) }
	id := must("saveJob", job(name)).id(t)
	copied := must("copyJob", id).id(t)
	must("disableJob", id)
	must("enableJob", id)
	must("deleteJob", copied)
	must("runJob", id, "to run", minute)
	return id
}

// onceOnlyChanges makes those that a server refuses the second time, as their
// instance is then no longer in the state that they want.
func onceOnlyChanges(t *testing.T, c *javaClient, thread int, made things, fail func(wfInstance int64)) {
	t.Helper()
	must := func(method string, args ...any) result { t.Helper(); return c.must(t, thread, method, args...) }
	canceled := must("runJob", made.job, "to cancel", minute).id(t)
	must("cancelInstance", canceled)
	stopped := must("runJob", made.job, "to stop", minute).id(t)
	must("stopInstance", stopped)
	must("retryInstance", stopped)

	waiting := must("runWorkflow", made.workflow, "to stop", minute).id(t)
	must("stopWorkflowInstance", waiting)
	failed := must("runWorkflow", made.workflow, "to fail", 0).id(t)
	fail(failed)
	must("markWorkflowNodeAsSuccess", failed, made.node)
	again := must("runWorkflow", made.workflow, "to retry", 0).id(t)
	fail(again)
	must("retryWorkflowInstance", again)
}

// compareCalls compares what clients called with what the far side counted:
// each call so many times, and each that was never called not at all.
func compareCalls(t *testing.T, far string, count func(call string) int, times int, clients ...*javaClient) {
	t.Helper()
	for _, call := range changingCalls {
		called := 0
		for _, c := range clients {
			called += c.calls()[call]
		}
		if got, want := count(call), called*times; got != want {
			t.Errorf("%s: called %d times, %s %d times, want %d", call, called, far, got, want)
		}
	}
}

// changes is how many changing calls the clients made. Every one of the
// catalogue must be among them.
func changes(t *testing.T, clients ...*javaClient) int {
	t.Helper()
	sum := 0
	for _, call := range changingCalls {
		called := 0
		for _, c := range clients {
			called += c.calls()[call]
		}
		if called == 0 {
			t.Errorf("%s was never called", call)
		}
		sum += called
	}
	return sum
}
