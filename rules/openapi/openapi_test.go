package openapi

import (
	"slices"
	"strings"
	"testing"
)

// changing is what PowerJob's documentation lists, with the thing that each
// call is about, the field that names it and the thing that it makes.
var changing = map[string]struct {
	body    Body
	subject SubjectKind
	field   string
	creates SubjectKind
}{
	"saveJob":    {JSON, Job, "id", Job},
	"copyJob":    {Form, Job, "jobId", Job},
	"disableJob": {Form, Job, "jobId", NoSubject},
	"enableJob":  {Form, Job, "jobId", NoSubject},
	"deleteJob":  {Form, Job, "jobId", NoSubject},
	"runJob":     {Form, Job, "jobId", Instance},
	"runJob2":    {JSON, Job, "jobId", Instance},

	"stopInstance":   {Form, Instance, "instanceId", NoSubject},
	"cancelInstance": {Form, Instance, "instanceId", NoSubject},
	"retryInstance":  {Form, Instance, "instanceId", NoSubject},

	"saveWorkflow":    {JSON, Workflow, "id", Workflow},
	"copyWorkflow":    {Form, Workflow, "workflowId", Workflow},
	"disableWorkflow": {Form, Workflow, "workflowId", NoSubject},
	"enableWorkflow":  {Form, Workflow, "workflowId", NoSubject},
	"deleteWorkflow":  {Form, Workflow, "workflowId", NoSubject},
	"runWorkflow":     {Form, Workflow, "workflowId", WorkflowInstance},
	"addWorkflowNode": {JSONArray, WorkflowNode, "id", WorkflowNode},

	"stopWfInstance":            {Form, WorkflowInstance, "wfInstanceId", NoSubject},
	"retryWfInstance":           {Form, WorkflowInstance, "wfInstanceId", NoSubject},
	"markWorkflowNodeAsSuccess": {Form, WorkflowInstance, "wfInstanceId", NoSubject},
}

// others change nothing; what they carry is of no interest but how.
var others = map[string]struct {
	kind Kind
	body Body
}{
	"authApp": {Login, JSON}, "assert": {Login, Form},
	"exportJob": {Read, Form}, "fetchJob": {Read, Form}, "fetchAllJob": {Read, Form}, "queryJob": {Read, JSON},
	"fetchInstanceStatus": {Read, Form}, "fetchInstanceInfo": {Read, Form}, "queryInstance": {Read, JSON},
	"fetchWorkflow": {Read, Form}, "fetchWfInstanceInfo": {Read, Form},
}

func TestTheCatalogueHasEveryCallOfTheClientAndNoOther(t *testing.T) {
	for name, want := range changing {
		c, ok := Lookup(name)
		if !ok {
			t.Errorf("%s is missing", name)
			continue
		}
		got := Call{Name: name, Kind: Change, Body: want.body, Subject: want.subject, IDField: want.field, Creates: want.creates}
		if got.App = c.App; name == "runJob2" { // else see proxy, TestTheGateJudgesWhatARealServerReads
			got.App = "appId" // no server that has the call was recorded
		}
		if *c != got {
			t.Errorf("%s: got %+v, want %+v", name, *c, got)
		}
	}
	for name, want := range others {
		c, ok := Lookup(name)
		if !ok {
			t.Errorf("%s is missing", name)
			continue
		}
		if got := (Call{Name: name, Kind: want.kind, Body: want.body, App: c.App}); *c != got {
			t.Errorf("%s: got %+v, want %+v", name, *c, got)
		}
	}
	for _, c := range Calls() {
		_, change := changing[c.Name]
		if _, other := others[c.Name]; !change && !other {
			t.Errorf("%s is in the catalogue, and in neither list of this test", c.Name)
		}
	}
}

func TestNamesAreThoseOfTheCallsInTheirOrder(t *testing.T) {
	names := Names()
	for i, c := range Calls() {
		if names[i] != c.Name {
			t.Errorf("name %d is %s, want %s", i, names[i], c.Name)
		}
	}
	slices.Sort(names)
	if n := len(slices.Compact(names)); n != len(Calls()) {
		t.Errorf("%d different names for %d calls", n, len(Calls()))
	}
}

func TestTheCallersSliceIsNotTheCatalogue(t *testing.T) {
	Calls()[0] = nil
	if Calls()[0] == nil {
		t.Error("a caller's change shows in the catalogue")
	}
}

func TestACallIsFoundByItsExactPathOnly(t *testing.T) {
	if c := ByPath("/openApi/runJob"); c == nil || c.Name != "runJob" {
		t.Errorf("/openApi/runJob: got %+v", c)
	}
	for _, path := range []string{
		"", "/", "/openApi", "/openApi/", "/openApi/runjob", "/openapi/runJob", "/openApi/runJob/x",
		"/openApi/runJob.json", "/openApi/runJob ", "/x/openApi/runJob", "openApi/runJob", "/openApiXrunJob",
	} {
		if c := ByPath(path); c != nil {
			t.Errorf("%q: got %s, want none", path, c.Name)
		}
	}
}

func TestACallIsOfTheCataloguesKindElseAChangeUnlessItsNameIsARead(t *testing.T) {
	for path, want := range map[string]string{
		"/openApi/saveJob": "change", "/openApi/runJob2": "change", "/openApi/fetchJob": "read", "/openApi/authApp": "login", "/openApi/assert": "login",
		"/openApi/runJob3": "change", "/openApi/x/y": "change", "/openApi/listJobs": "change", "/openApi/FetchJob": "change", "/openApi/savejob": "change",
		"/openApi/fetchJob2": "read", "/openApi/queryInstanceInfo": "read", "/openApi/exportWorkflow": "read", "/openApi/fetch": "read",
		"/openApi": "", "/openApi/": "", "/": "", "": "", "/x/openApi/saveJob": "", "/openapi/saveJob": "",
	} {
		kind, ok := KindOf(path)
		got := ""
		if ok {
			got = kind.String()
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}

func TestKindsHaveNames(t *testing.T) {
	got := strings.Join([]string{Login.String(), Read.String(), Change.String()}, " ")
	if want := "login read change"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
