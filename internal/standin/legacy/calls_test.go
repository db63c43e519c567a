package legacy

import (
	"reflect"
	"testing"
	"time"

	"powerjob-shim/internal/standin/client"
)

// TestEveryChangingCallChangesTheState makes all changing calls in a sensible order with
// a 5.x client and checks the server's state.
func TestEveryChangingCallChangesTheState(t *testing.T) {
	s, address := start(t, Options{Mode: Patched})
	c, err := client.New(client.Config{Addresses: []string{address}, AppName: "app1", Password: "pw"})
	if err != nil {
		t.Fatal(err)
	}
	run := int64(firstRun)
	steps := []struct {
		call string
		p    client.Params
		id   int64
	}{
		{"saveJob", client.Params{"jobName": "a", "jobParams": "p"}, 1},
		{"saveJob", client.Params{"id": 1, "jobName": "b"}, 1},
		{"copyJob", client.Params{"jobId": 1}, 2},
		{"disableJob", client.Params{"jobId": 1}, 0},
		{"copyJob", client.Params{"jobId": 1}, 3},
		{"enableJob", client.Params{"jobId": 2}, 0},
		{"runJob", client.Params{"jobId": 1, "instanceParams": "x", "delay": 0}, run},
		{"stopInstance", client.Params{"instanceId": run}, 0},
		{"retryInstance", client.Params{"instanceId": run}, 0},
		{"runJob", client.Params{"jobId": 1, "delay": 60000}, run + 1},
		{"cancelInstance", client.Params{"instanceId": run + 1}, 0},
		{"deleteJob", client.Params{"jobId": 2}, 0},
		{"saveWorkflow", client.Params{"wfName": "w"}, 1},
		{"copyWorkflow", client.Params{"workflowId": 1}, 2},
		{"disableWorkflow", client.Params{"workflowId": 1}, 0},
		{"enableWorkflow", client.Params{"workflowId": 1}, 0},
		{"deleteWorkflow", client.Params{"workflowId": 2}, 0},
		{"addWorkflowNode", client.Params{"nodes": []client.Params{{"workflowId": 1, "jobId": 1, "nodeName": "n"}}}, 0},
		{"runWorkflow", client.Params{"workflowId": 1, "initParams": "i", "delay": 0}, run + 2},
		{"stopWfInstance", client.Params{"wfInstanceId": run + 2}, 0},
		{"markWorkflowNodeAsSuccess", client.Params{"wfInstanceId": run + 2, "nodeId": 1}, 0},
		{"retryWfInstance", client.Params{"wfInstanceId": run + 2}, 0},
	}
	for _, step := range steps {
		r, err := c.Call(step.call, step.p)
		if err != nil || !r.Success || r.ID() != step.id {
			t.Errorf("%s: %+v, %v; want id %d", step.call, r, err, step.id)
		}
	}
	want := State{
		Jobs: map[int64]Job{
			1: {ID: 1, AppID: 1, Name: "b", Spec: `{"jobName":"b"}`, Status: Disabled},
			2: {ID: 2, AppID: 1, Name: "b_COPY", Spec: `{"jobName":"b"}`, Status: Deleted},
			3: {ID: 3, AppID: 1, Name: "b_COPY", Spec: `{"jobName":"b"}`, Status: Disabled},
		},
		Instances: map[int64]Instance{
			run:     {ID: run, JobID: 1, AppID: 1, Params: "x", Status: Running, Runs: 2},
			run + 1: {ID: run + 1, JobID: 1, AppID: 1, Delay: 60000, Status: Canceled, Runs: 1},
		},
		Workflows: map[int64]Workflow{
			1: {ID: 1, AppID: 1, Name: "w", Spec: `{"wfName":"w"}`, Status: Enabled},
			2: {ID: 2, AppID: 1, Name: "w_COPY", Spec: `{"wfName":"w"}`, Status: Deleted},
		},
		WorkflowInstances: map[int64]WorkflowInstance{
			run + 2: {ID: run + 2, WorkflowID: 1, AppID: 1, Params: "i", Status: RunningWorkflow, Runs: 2, Marked: []int64{1}},
		},
		Nodes: map[int64]Node{1: {ID: 1, WorkflowID: 1, AppID: 1, JobID: 1, Name: "n", Spec: `{"jobId":1,"nodeName":"n","workflowId":1}`}},
	}
	if got := s.State(); !reflect.DeepEqual(got, want) {
		t.Errorf("state\n%+v\nwant\n%+v", got, want)
	}
	for i, e := range s.Executions() {
		if e.Call != steps[i].call || e.Seq != i+1 {
			t.Errorf("execution %d is %+v, want %s", i+1, e, steps[i].call)
		}
	}

	for _, again := range []struct {
		call string
		p    client.Params
	}{
		{"retryInstance", client.Params{"instanceId": run}}, {"cancelInstance", client.Params{"instanceId": run + 1}},
		{"retryWfInstance", client.Params{"wfInstanceId": run + 2}}, {"markWorkflowNodeAsSuccess", client.Params{"wfInstanceId": run + 2, "nodeId": 1}},
		{"copyWorkflow", client.Params{"workflowId": 2}},
	} {
		if r, err := c.Call(again.call, again.p); err != nil || r.Success {
			t.Errorf("%s a second time: %+v, %v; want a business error", again.call, r, err)
		}
	}
	if got := s.Executed(""); got != len(steps) {
		t.Errorf("%d executions, want %d: what is refused is not executed", got, len(steps))
	}
}

func TestEveryReadingCallAnswersFromTheState(t *testing.T) {
	now := time.Date(2026, 3, 1, 8, 0, 0, 5e6, time.FixedZone("CET", 3600))
	s, address := start(t, Options{Mode: CheckOn, Now: func() time.Time { return now }})
	c, err := client.New(client.Config{Addresses: []string{address}, AppName: "app1", Password: "pw"})
	if err != nil {
		t.Fatal(err)
	}
	for _, call := range []struct {
		name string
		p    client.Params
	}{
		{"saveJob", client.Params{"jobName": "a", "jobParams": "p", "processorInfo": "x.Y"}}, {"runJob", client.Params{"jobId": 1}},
		{"saveWorkflow", client.Params{"wfName": "w"}}, {"runWorkflow", client.Params{"workflowId": 1}},
	} {
		if r, err := c.Call(call.name, call.p); err != nil || !r.Success {
			t.Fatalf("%s: %+v, %v", call.name, r, err)
		}
	}
	job := `{"id":1,"appId":1,"jobName":"a","jobDescription":null,"jobParams":"p","timeExpression":null,"processorInfo":"x.Y","status":1,` +
		`"gmtCreate":"2026-03-01T07:00:00.005+00:00","gmtModified":"2026-03-01T07:00:00.005+00:00"}`
	instance := `{"instanceId":700000000000000001,"jobId":1,"appId":1,"instanceParams":"","status":3,"runningTimes":1}`
	for _, read := range []struct {
		call string
		p    client.Params
		want string
	}{
		{"exportJob", client.Params{"jobId": 1}, `{"jobName":"a","jobParams":"p","processorInfo":"x.Y"}`},
		{"fetchJob", client.Params{"jobId": 1}, job},
		{"fetchAllJob", nil, "[" + job + "]"},
		{"queryJob", client.Params{"jobNameEq": "b"}, "[]"},
		{"queryJob", nil, "[" + job + "]"},
		{"fetchInstanceStatus", client.Params{"instanceId": int64(firstRun)}, "3"},
		{"fetchInstanceInfo", client.Params{"instanceId": int64(firstRun)}, instance},
		{"queryInstance", client.Params{"jobIdEq": 1}, "[" + instance + "]"},
		{"fetchWorkflow", client.Params{"workflowId": 1}, `{"id":1,"appId":1,"wfName":"w","status":1}`},
		{"fetchWfInstanceInfo", client.Params{"wfInstanceId": int64(firstRun) + 1}, `{"wfInstanceId":700000000000000002,"workflowId":1,"appId":1,"wfInitParams":"","status":2}`},
	} {
		if r, err := c.Call(read.call, read.p); err != nil || string(r.Data) != read.want {
			t.Errorf("%s: %s %s, %v; want %s", read.call, r.Data, r.Message, err, read.want)
		}
	}
	if got := s.Executed(""); got != 4 {
		t.Errorf("%d executions, want 4: reading executes nothing", got)
	}
}
