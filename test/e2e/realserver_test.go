package e2e

import (
	"encoding/json"
	"fmt"
	"testing"

	"powerjob-shim/internal/await"
)

// TestThe436ClientOnARealServerThroughTheShim counts jobs in the answers of a
// real 4.3.9 server.
func TestThe436ClientOnARealServerThroughTheShim(t *testing.T) {
	app := needRealServer(t).newApp(t)
	client := newClient(t, v436, app.account, startShim(t, app.server.address).Listen)
	for i := range saves {
		client.must(t, 0, "saveJob", job(fmt.Sprint("nightly ", i)))
	}
	var jobs []json.RawMessage
	if err := json.Unmarshal(client.must(t, 0, "fetchAllJob").Data, &jobs); err != nil {
		t.Fatal(err)
	}
	if len(jobs) != saves {
		t.Errorf("the client sees %d jobs after %d saves", len(jobs), saves)
	}
	if got := app.count(t, "/job/list"); got != saves {
		t.Errorf("the server's own list has %d jobs after %d saves", got, saves)
	}
}

// TestWithoutTheShimARealServerExecutesTwice shows that the test below can
// fail. Workflows are left out: the second saveWorkflow is refused, as the
// first one took the nodes.
func TestWithoutTheShimARealServerExecutesTwice(t *testing.T) {
	app := needRealServer(t).newApp(t)
	stub := startAuthStub(t, app)
	client := newClient(t, v510, app.account, stub.address)
	jobChanges(t, client, 0, "nightly")
	compareCalls(t, "received", stub.count, 2, client)
	compareRows(t, app, client, 2)
}

// TestEveryChangingCallOnARealServer makes every changing call of the real
// 5.1.0 client on a real 4.3.9 server behind a stub for authApp.
func TestEveryChangingCallOnARealServer(t *testing.T) {
	t.Parallel()
	for _, lossy := range []bool{false, true} {
		name := "through the shim"
		if lossy {
			name = "through haproxy and the shim"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := needRealServer(t).newApp(t)
			stub := startAuthStub(t, app)
			shim := startShim(t, stub.address)
			address, repeated := shim.Listen, 0
			if lossy {
				address = startHAProxy(t, shim.Listen)
			}
			client := newClient(t, v510, app.account, address)
			everyChange(t, client, 0, "nightly", func(wfInstance int64) { awaitFailure(t, client, wfInstance) })
			if called := changes(t, client); lossy {
				repeated = called
			}
			compareCalls(t, "received", stub.count, 1, client)
			compareRows(t, app, client, 1)
			if got := shim.decisions(t, "replayed"); got != repeated {
				t.Errorf("%d calls were replayed, want %d", got, repeated)
			}
		})
	}
}

// compareRows counts what creating calls left in the server's database. Of the
// jobs and of the workflows, one is a copy that was deleted again; a deleted
// one is not listed.
func compareRows(t *testing.T, app realApp, c *javaClient, times int) {
	t.Helper()
	calls := c.calls()
	for list, want := range map[string]int{
		"/job/list":        (calls["saveJob"]+calls["copyJob"])*times - calls["deleteJob"],
		"/instance/list":   calls["runJob"] * times,
		"/workflow/list":   (calls["saveWorkflow"]+calls["copyWorkflow"])*times - calls["deleteWorkflow"],
		"/wfInstance/list": calls["runWorkflow"] * times,
	} {
		if got := app.count(t, list); got != want {
			t.Errorf("%s has %d rows, want %d", list, got, want)
		}
	}
}

// awaitFailure waits until a workflow instance has failed, for want of a
// worker to run its job.
func awaitFailure(t *testing.T, c *javaClient, wfInstance int64) {
	t.Helper()
	const failed = 3 // WorkflowInstanceStatus.FAILED
	var last result
	await.That(t, "the workflow instance fails", func() bool {
		last = c.must(t, 0, "fetchWorkflowInstanceInfo", wfInstance)
		var info struct{ Status int }
		return json.Unmarshal(last.Data, &info) == nil && info.Status == failed
	}, func() string { return last.String() })
}
