package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"powerjob-shim/rules/openapi"
)

// oracle tells what a real server reads as a call's app. It asks for things of a
// third app, so that the server names in its refusal the app that it read, or of
// both apps in turn, where only the right one is let through.
type oracle struct {
	t      *testing.T
	server *realServer

	mine, theirs, owner realApp
	ask                 map[string]func(appRead) string // by call

	job, instance int64 // of owner
	workflows     [2]int64
	instances     [2]int64 // of the workflows
	nodes         [2]int64
}

func newOracle(t *testing.T) *oracle {
	s := needRealServer(t)
	o := &oracle{t: t, server: s, mine: s.first[0], theirs: s.first[1], owner: s.newApp(t)}
	o.job = o.newJob(o.owner)
	s.post(t, "/openApi/runJob", formType, form("jobId", o.job, "appId", o.owner.id, "delay", 3_600_000), &o.instance)
	for i, app := range []realApp{o.mine, o.theirs} {
		o.nodes[i] = o.newNode(app, o.newJob(app))
		s.post(t, "/openApi/saveWorkflow", jsonType, "{"+o.workflow(app.id, o.nodes[i])+"}", &o.workflows[i])
		s.post(t, "/openApi/runWorkflow", formType, form("workflowId", o.workflows[i], "appId", app.id, "delay", 3_600_000), &o.instances[i])
	}
	named := func(call, id string, of int64) func(appRead) string {
		return func(v appRead) string { return o.namedInRefusal(call, v, form(id, of)) }
	}
	pair := func(call, id string, of *[2]int64) func(appRead) string {
		return func(v appRead) string { return o.whoIsLetThrough(call, v, id, of) }
	}
	ignored := func(appRead) string { return "ignored" }
	o.ask = map[string]func(appRead) string{
		"saveJob": o.saveJob, "queryJob": o.listed("queryJob"), "fetchAllJob": o.listed("fetchAllJob"), "queryInstance": o.listed("queryInstance"),
		"saveWorkflow": o.saveWorkflow, "addWorkflowNode": o.addWorkflowNode,
		"copyJob": ignored, "fetchInstanceStatus": ignored, "fetchInstanceInfo": ignored,
		"stopWfInstance": pair("stopWfInstance", "wfInstanceId", &o.instances), "retryWfInstance": pair("retryWfInstance", "wfInstanceId", &o.instances),
		"fetchWfInstanceInfo":       pair("fetchWfInstanceInfo", "wfInstanceId", &o.instances),
		"markWorkflowNodeAsSuccess": pair("markWorkflowNodeAsSuccess", "wfInstanceId", &o.instances),
	}
	for _, call := range []string{"exportJob", "fetchJob", "disableJob", "enableJob", "deleteJob", "runJob"} {
		o.ask[call] = named(call, "jobId", o.job)
	}
	for _, call := range []string{"stopInstance", "cancelInstance", "retryInstance"} {
		o.ask[call] = named(call, "instanceId", o.instance)
	}
	for _, call := range []string{"copyWorkflow", "fetchWorkflow", "disableWorkflow", "enableWorkflow", "runWorkflow", "deleteWorkflow"} {
		o.ask[call] = pair(call, "workflowId", &o.workflows)
	}
	return o
}

// variants are those of a call. Of an array each element is varied.
func (o *oracle) variants(call *openapi.Call, mine, theirs string) []appRead {
	switch call.Body {
	case openapi.Form:
		all := formVariants(mine, theirs)
		if call.Name == "fetchAllJob" { // large, so once
			all = append(all, appRead{Type: formType, Body: []byte(strings.Repeat("a=b&", 10_000) + "appId=" + theirs)})
		}
		return all
	case openapi.JSON:
		field := "appId"
		if strings.HasPrefix(call.Name, "query") {
			field = "appIdEq"
		}
		return jsonVariants(field, mine, theirs)
	}
	all := jsonVariants("appId", mine, theirs)
	for i, v := range all {
		if bytes.HasPrefix(v.Body, []byte("{")) {
			all[i].Body = fmt.Appendf(nil, "[%s]", v.Body)
		}
	}
	for _, two := range []string{`[{"appId":%[1]s},{"appId":%[2]s}]`, `[{"appId":%[2]s},{"appId":%[1]s}]`, `[{"appId":%[1]s},{}]`, `[{"appId":%[1]s},null]`} {
		all = append(all, appRead{Type: jsonType, Body: fmt.Appendf(nil, two, mine, theirs)})
	}
	return all
}

func form(pairs ...any) string {
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Set(fmt.Sprint(pairs[i]), fmt.Sprint(pairs[i+1]))
	}
	return values.Encode()
}

// name is an app as the recording has it.
func (o *oracle) name(id int64) string {
	switch id {
	case o.mine.id:
		return "1"
	case o.theirs.id:
		return "2"
	}
	return "another"
}

// namedInRefusal asks for something that neither app owns.
func (o *oracle) namedInRefusal(call string, v appRead, extra string) string {
	answer := o.send(call, v, extra)
	if answer.Success {
		return "let through"
	}
	_, app, ok := strings.Cut(answer.Message, "whose appId is ")
	if !ok {
		return unread(answer.Message)
	}
	var id int64
	if _, err := fmt.Sscan(app, &id); err != nil {
		o.t.Fatal(err)
	}
	return o.name(id)
}

// unread is why a server read no app.
func unread(message string) string {
	for _, null := range []string{"NullPointerException", `For input string: "null"`, "appId can't be empty"} {
		if strings.Contains(message, null) {
			return "none"
		}
	}
	return "refused"
}

// whoIsLetThrough asks for the things of both apps.
func (o *oracle) whoIsLetThrough(call string, v appRead, id string, of *[2]int64) string {
	var through []string
	reason := "none"
	for i := range of {
		answer := o.send(call, v, form(id, of[i], "nodeId", o.nodes[i], "delay", 3_600_000))
		if why := unread(answer.Message); answer.Success || why == "refused" && !strings.Contains(answer.Message, "Permission Denied") && !strings.Contains(answer.Message, "Mismatch") && !strings.HasPrefix(answer.Message, "4") {
			through = append(through, fmt.Sprint(i+1))
		} else if !strings.Contains(answer.Message, "Permission Denied") {
			reason = why
		}
	}
	switch len(through) {
	case 0:
		return reason
	case 1:
		return through[0]
	}
	return "refused" // in a way that has nothing to do with whose it is
}

// listed asks for a list and looks whose things are in it.
func (o *oracle) listed(call string) func(appRead) string {
	return func(v appRead) string {
		answer := o.send(call, v, "")
		if !answer.Success {
			return unread(answer.Message)
		}
		return o.appsIn(answer.Data)
	}
}

func (o *oracle) appsIn(data json.RawMessage) string {
	var things []struct{ AppID int64 }
	if err := json.Unmarshal(data, &things); err != nil {
		o.t.Fatal(err)
	}
	var apps []string
	for _, thing := range things {
		if app := o.name(thing.AppID); !slices.Contains(apps, app) {
			apps = append(apps, app)
		}
	}
	slices.Sort(apps)
	switch {
	case len(apps) == 0:
		return "none"
	case slices.Contains(apps, "another"):
		return "all"
	}
	return strings.Join(apps, ",")
}

// put puts fields in front of those that a JSON body has.
func put(v appRead, fields string) appRead {
	if at := bytes.IndexByte(v.Body, '{'); at >= 0 && !bytes.Contains(v.Body, []byte{0}) {
		if bytes.HasPrefix(bytes.TrimSpace(v.Body[at+1:]), []byte("}")) {
			fields = strings.TrimSuffix(fields, ",")
		}
		v.Body = slices.Concat(v.Body[:at+1], []byte(fields), v.Body[at+1:])
	}
	return v
}

func (o *oracle) saveJob(v appRead) string {
	return o.namedInRefusal("saveJob", put(v, fmt.Sprintf(`"id":%d,`, o.job)), "")
}

func (o *oracle) workflow(app, node int64) string {
	return o.workflowFields(node) + fmt.Sprintf(`"appId":%d`, app)
}

func (o *oracle) workflowFields(node int64) string {
	return fmt.Sprintf(`"wfName":"w","timeExpressionType":"API","maxWfInstanceNum":100,"enable":true,"dag":{"nodes":[{"nodeId":%d}],"edges":[]},`, node)
}

// saveWorkflow has a workflow made, and asks both apps whose it is.
func (o *oracle) saveWorkflow(v appRead) string {
	answer := o.send("saveWorkflow", put(v, o.workflowFields(o.newNode(o.owner, o.job))), "")
	if !answer.Success {
		return unread(answer.Message)
	}
	var id int64
	if err := json.Unmarshal(answer.Data, &id); err != nil {
		o.t.Fatal(err)
	}
	for _, app := range []realApp{o.mine, o.theirs} {
		if o.send("fetchWorkflow", appRead{}, form("workflowId", id, "appId", app.id)).Success {
			return o.name(app.id)
		}
	}
	return "another"
}

func (o *oracle) addWorkflowNode(v appRead) string {
	fields := fmt.Sprintf(`"type":1,"jobId":%d,"nodeName":"n","enable":true,"skipWhenFailed":false,`, o.job)
	v.Body = []byte(strings.ReplaceAll(string(v.Body), "},{", "},{"+fields))
	answer := o.send("addWorkflowNode", put(v, fields), "")
	if !answer.Success {
		return unread(answer.Message)
	}
	return o.appsIn(answer.Data)
}

func (o *oracle) newJob(app realApp) (id int64) {
	o.server.post(o.t, "/openApi/saveJob", jsonType, fmt.Sprintf(`{"appId":%d,"jobName":"j","timeExpressionType":"API","executeType":"STANDALONE",
		"processorType":"BUILT_IN","processorInfo":"x.Y","maxInstanceNum":100,"concurrency":1,"enable":true}`, app.id), &id)
	return id
}

func (o *oracle) newNode(app realApp, job int64) int64 {
	var nodes []struct{ ID int64 }
	o.server.post(o.t, "/openApi/addWorkflowNode", jsonType,
		fmt.Sprintf(`[{"appId":%d,"type":1,"jobId":%d,"nodeName":"n","enable":true,"skipWhenFailed":false}]`, app.id, job), &nodes)
	return nodes[0].ID
}
