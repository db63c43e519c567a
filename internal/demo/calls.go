package demo

import (
	"fmt"
	"strconv"

	"powerjob-shim/internal/standin/client"
	"powerjob-shim/internal/standin/legacy"
)

// calls are all changing calls. params prepares what the i-th call of this name acts
// on, and returns the call's parameters.
var calls = []struct {
	name   string
	params func(s *scene, i int) client.Params
}{
	{"saveJob", func(_ *scene, i int) client.Params { return client.Params{"jobName": fmt.Sprint("nightly ", i)} }},
	{"copyJob", onJob},
	{"disableJob", onJob},
	{"enableJob", onJob},
	{"deleteJob", func(s *scene, _ int) client.Params {
		return client.Params{"jobId": s.set("saveJob", `{"appId":1,"jobName":"old"}`)}
	}},
	{"runJob", func(*scene, int) client.Params { return client.Params{"jobId": 1, "instanceParams": "p", "delay": 0} }},
	{"stopInstance", func(s *scene, _ int) client.Params { return client.Params{"instanceId": s.run(0)} }},
	{"cancelInstance", func(s *scene, _ int) client.Params { return client.Params{"instanceId": s.run(60_000)} }},
	{"retryInstance", func(s *scene, _ int) client.Params {
		id := s.run(0)
		s.do("stopInstance", map[string]string{"instanceId": fmt.Sprint(id), "appId": "1"})
		return client.Params{"instanceId": id}
	}},
	{"saveWorkflow", func(_ *scene, i int) client.Params { return client.Params{"wfName": fmt.Sprint("nightly ", i)} }},
	{"copyWorkflow", onWorkflow},
	{"disableWorkflow", onWorkflow},
	{"enableWorkflow", onWorkflow},
	{"deleteWorkflow", func(s *scene, _ int) client.Params {
		return client.Params{"workflowId": s.set("saveWorkflow", `{"appId":1,"wfName":"old"}`)}
	}},
	{"runWorkflow", func(*scene, int) client.Params { return client.Params{"workflowId": 1, "delay": 0} }},
	{"addWorkflowNode", func(_ *scene, i int) client.Params {
		return client.Params{"nodes": []client.Params{{"workflowId": 1, "jobId": 1, "nodeName": fmt.Sprint("step ", i)}}}
	}},
	{"stopWfInstance", func(s *scene, _ int) client.Params { return client.Params{"wfInstanceId": s.runWorkflow()} }},
	{"retryWfInstance", func(s *scene, _ int) client.Params {
		return client.Params{"wfInstanceId": s.stoppedWorkflow()}
	}},
	{"markWorkflowNodeAsSuccess", func(s *scene, _ int) client.Params {
		return client.Params{"wfInstanceId": s.stoppedWorkflow(), "nodeId": 1}
	}},
}

// Calls returns the names of the calls that Run makes.
func Calls() []string {
	names := make([]string, len(calls))
	for i, c := range calls {
		names[i] = c.name
	}
	return names
}

func onJob(*scene, int) client.Params      { return client.Params{"jobId": 1} }
func onWorkflow(*scene, int) client.Params { return client.Params{"workflowId": 1} }

// scene prepares things in a stand-in, without sending requests to it. It keeps its
// first failure in err.
type scene struct {
	server *legacy.Server
	err    error
}

// set executes a call with a JSON body and returns the id of what it made.
func (s *scene) set(call, body string) int64 {
	return s.serve(legacy.Input{Call: call, JSON: []byte(body)})
}

// do executes a call with a form and returns the id of what it made.
func (s *scene) do(call string, form map[string]string) int64 {
	return s.serve(legacy.Input{Call: call, Params: form})
}

func (s *scene) run(delay int) int64 {
	return s.do("runJob", map[string]string{"jobId": "1", "appId": "1", "delay": strconv.Itoa(delay)})
}

func (s *scene) runWorkflow() int64 {
	return s.do("runWorkflow", map[string]string{"workflowId": "1", "appId": "1"})
}

func (s *scene) stoppedWorkflow() int64 {
	id := s.runWorkflow()
	s.do("stopWfInstance", map[string]string{"wfInstanceId": strconv.FormatInt(id, 10), "appId": "1"})
	return id
}

func (s *scene) serve(in legacy.Input) int64 {
	a := s.server.Serve(in)
	if a.Execution == nil {
		if s.err == nil {
			s.err = fmt.Errorf("preparing with %s: %s", in.Call, a.Message)
		}
		return 0
	}
	return a.Execution.Result
}
