// Package openapi knows PowerJob's OpenAPI: which calls there are, what each
// does, where a request names the app and the job, workflow or instance it is
// about, how an answer is wrapped, and how a Spring server reads a path.
//
// It only reads: every function is pure, safe for concurrent use, and bounded
// by the size of its input. Input is never trusted: what does not parse has no
// subject, and the caller forwards it.
//
// Facts are from PowerJob's sources, tags v4.3.9 to v5.1.1
// (tech.powerjob.common.OpenAPIConstant, tech.powerjob.server.web.controller.OpenAPIController),
// and for runJob2 from powerjob-common 5.1.2.
package openapi

import (
	"slices"
	"strings"
)

// Header names of the 5.x client. The client looks AuthHeader up by its exact
// case (a HashMap), so it must be written in this case.
const (
	AuthHeader  = "X-POWERJOB-AUTH-PASSED"
	TokenHeader = "X-POWERJOB-ACCESS-TOKEN"
	AppIDHeader = "X-POWERJOB-APP-ID"
)

// The same names as net/http stores them (http.CanonicalHeaderKey).
const (
	AuthKey  = "X-Powerjob-Auth-Passed"
	TokenKey = "X-Powerjob-Access-Token"
	AppIDKey = "X-Powerjob-App-Id"
)

// Prefix is what the path of every call begins with.
const Prefix = "/openApi/"

// Kind tells what a call does to the server.
type Kind uint8

// The kinds of calls.
const (
	Login  Kind = iota // asks for a token or checks a password
	Read               // changes nothing
	Change             // executes something, once for each time that it is sent
)

// String returns "login", "read" or "change".
func (k Kind) String() string {
	return [...]string{"login", "read", "change"}[k]
}

// SubjectKind is the type of thing that an id names.
type SubjectKind uint8

// The types of things that PowerJob gives ids to.
const (
	NoSubject SubjectKind = iota
	Job
	Instance
	Workflow
	WorkflowInstance
	WorkflowNode
)

// Body is how a call carries its parameters.
type Body uint8

// The encodings of requests.
const (
	Form      Body = iota // application/x-www-form-urlencoded, or the query
	JSON                  // one JSON object
	JSONArray             // a JSON array of objects
)

// Call is one entry of the catalogue. Entries are shared and never change.
type Call struct {
	Name string // "saveJob", also the last segment of its path
	Kind Kind
	Body Body
	// App is the exact name of the parameter or field that a server reads the app's id
	// from; "": it reads none. In a form it takes the first one of query and body, at the
	// top of a JSON object the last one, in an array that of each object. null and empty
	// text are no app. Recorded from a real 4.3.9 server
	// (proxy/testdata/apps-4.3.9.json); 5.1.0 and 5.1.1 read the same. They lack runJob2:
	// the request of powerjob-common 5.1.2 shows that it has the app where saveJob has it.
	App string

	// Subject is the type of the thing that is changed; the request's IDField names it.
	Subject SubjectKind
	IDField string
	// Creates is the type of a new thing, whose id the answer's data names.
	Creates SubjectKind
}

var calls = []*Call{
	{Name: "authApp", Kind: Login, Body: JSON},
	{Name: "assert", Kind: Login},

	{Name: "saveJob", Kind: Change, Body: JSON, App: "appId", Subject: Job, IDField: "id", Creates: Job},
	{Name: "copyJob", Kind: Change, Subject: Job, IDField: "jobId", Creates: Job},
	{Name: "exportJob", Kind: Read, App: "appId"},
	{Name: "fetchJob", Kind: Read, App: "appId"},
	{Name: "fetchAllJob", Kind: Read, App: "appId"},
	{Name: "queryJob", Kind: Read, Body: JSON, App: "appIdEq"},
	{Name: "disableJob", Kind: Change, App: "appId", Subject: Job, IDField: "jobId"},
	{Name: "enableJob", Kind: Change, App: "appId", Subject: Job, IDField: "jobId"},
	{Name: "deleteJob", Kind: Change, App: "appId", Subject: Job, IDField: "jobId"},
	{Name: "runJob", Kind: Change, App: "appId", Subject: Job, IDField: "jobId", Creates: Instance},
	{Name: "runJob2", Kind: Change, Body: JSON, App: "appId", Subject: Job, IDField: "jobId", Creates: Instance}, // since 5.1.2

	{Name: "stopInstance", Kind: Change, App: "appId", Subject: Instance, IDField: "instanceId"},
	{Name: "cancelInstance", Kind: Change, App: "appId", Subject: Instance, IDField: "instanceId"},
	{Name: "retryInstance", Kind: Change, App: "appId", Subject: Instance, IDField: "instanceId"},
	{Name: "fetchInstanceStatus", Kind: Read},
	{Name: "fetchInstanceInfo", Kind: Read},
	{Name: "queryInstance", Kind: Read, Body: JSON, App: "appIdEq"},

	{Name: "saveWorkflow", Kind: Change, Body: JSON, App: "appId", Subject: Workflow, IDField: "id", Creates: Workflow},
	{Name: "copyWorkflow", Kind: Change, App: "appId", Subject: Workflow, IDField: "workflowId", Creates: Workflow},
	{Name: "fetchWorkflow", Kind: Read, App: "appId"},
	{Name: "disableWorkflow", Kind: Change, App: "appId", Subject: Workflow, IDField: "workflowId"},
	{Name: "enableWorkflow", Kind: Change, App: "appId", Subject: Workflow, IDField: "workflowId"},
	{Name: "deleteWorkflow", Kind: Change, App: "appId", Subject: Workflow, IDField: "workflowId"},
	{Name: "runWorkflow", Kind: Change, App: "appId", Subject: Workflow, IDField: "workflowId", Creates: WorkflowInstance},
	{Name: "addWorkflowNode", Kind: Change, Body: JSONArray, App: "appId", Subject: WorkflowNode, IDField: "id", Creates: WorkflowNode},

	{Name: "stopWfInstance", Kind: Change, App: "appId", Subject: WorkflowInstance, IDField: "wfInstanceId"},
	{Name: "retryWfInstance", Kind: Change, App: "appId", Subject: WorkflowInstance, IDField: "wfInstanceId"},
	{Name: "markWorkflowNodeAsSuccess", Kind: Change, App: "appId", Subject: WorkflowInstance, IDField: "wfInstanceId"},
	{Name: "fetchWfInstanceInfo", Kind: Read, App: "appId"},
}

var byName = func() map[string]*Call {
	m := make(map[string]*Call, len(calls))
	for _, c := range calls {
		m[c.Name] = c
	}
	return m
}()

// Calls returns the whole catalogue in the order of PowerJob's documentation.
// The slice is the caller's own, its entries are shared.
func Calls() []*Call { return slices.Clone(calls) }

// Names returns the name of every call of the catalogue.
func Names() []string {
	names := make([]string, len(calls))
	for i, c := range calls {
		names[i] = c.Name
	}
	return names
}

// Lookup finds a call by its name, in exact case as a Spring server routes it.
func Lookup(name string) (*Call, bool) {
	c, ok := byName[name]
	return c, ok
}

// ByPath finds the call that a path names, as RoutePath returns it.
// It returns nil where the path is not a known call's.
func ByPath(path string) *Call {
	name, ok := strings.CutPrefix(path, Prefix)
	if !ok {
		return nil
	}
	return byName[name]
}

// readPrefixes begin the names of PowerJob's reads.
var readPrefixes = []string{"fetch", "query", "export"}

// KindOf returns the kind of any call under Prefix. A call that the catalogue does
// not know counts as a change, since newer servers have calls that are not known
// yet, unless its name begins like those of reads. ok is false for a path that is
// not under Prefix.
func KindOf(path string) (kind Kind, ok bool) {
	name, ok := strings.CutPrefix(path, Prefix)
	if !ok || name == "" {
		return 0, false
	}
	if c := byName[name]; c != nil {
		return c.Kind, true
	}
	if NamesReads(name) {
		return Read, true
	}
	return Change, true
}

// NamesReads reports whether all calls whose names begin with this are reads, as
// far as names tell.
func NamesReads(beginning string) bool {
	return slices.ContainsFunc(readPrefixes, func(p string) bool { return strings.HasPrefix(beginning, p) })
}
