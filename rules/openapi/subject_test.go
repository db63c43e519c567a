package openapi

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

const (
	formType = "application/x-www-form-urlencoded"
	jsonType = "application/json; charset=utf-8"
)

func call(t testing.TB, name string) *Call {
	t.Helper()
	c, ok := Lookup(name)
	if !ok {
		t.Fatalf("no call %s", name)
	}
	return c
}

var (
	unknown = Subjects{Unknown: true}
	creates = Subjects{Creates: true}
)

func known(kind SubjectKind, ids ...int64) Subjects {
	var s Subjects
	for _, id := range ids {
		s.Known = append(s.Known, Subject{kind, id})
	}
	return s
}

func TestSubjectsAreReadFromTheRequest(t *testing.T) {
	for _, test := range []struct {
		name, call, contentType, query, body string
		want                                 Subjects
	}{
		{"a login changes nothing", "authApp", jsonType, "", `{"id":1}`, Subjects{}},
		{"a read changes nothing", "fetchJob", formType, "", "jobId=1", Subjects{}},

		{"no id is a new job", "saveJob", jsonType, "", `{"jobName":"a"}`, creates},
		{"a null id is a new job", "saveJob", jsonType, "", `{"id":null}`, creates},
		{"an empty object is a new job", "saveJob", jsonType, "", ` {} `, creates},
		{"an id", "saveJob", jsonType, "", `{"id":7,"appId":1}`, known(Job, 7)},
		{"an id in a string, which Jackson takes", "saveJob", jsonType, "", `{"id":"7"}`, known(Job, 7)},
		{"a negative id", "saveJob", jsonType, "", `{"id":-7}`, known(Job, -7)},
		{"white space everywhere", "saveJob", jsonType, "", "\r\n\t{ \"a\" : [ 1 , { } ] , \"id\" : 7 } \n", known(Job, 7)},
		{"only the top level counts", "saveJob", jsonType, "", `{"x":{"id":1},"y":[{"id":2}],"z":"\"id\":3"}`, creates},
		{"ID is not id", "saveJob", jsonType, "", `{"ID":1,"Id":2}`, creates},
		{"the last of repeated keys", "saveJob", jsonType, "", `{"id":1,"id":2}`, known(Job, 2)},
		{"null after a number", "saveJob", jsonType, "", `{"id":1,"id":null}`, creates},
		{"a workflow's id", "saveWorkflow", jsonType, "", `{"id":7}`, known(Workflow, 7)},
		{"any content type: the server reads it as it likes", "saveJob", "", "", `{"id":7}`, known(Job, 7)},

		{"an escaped key may be id", "saveJob", jsonType, "", `{"\u0069d":1}`, unknown},
		{"an id with a fraction", "saveJob", jsonType, "", `{"id":1.0}`, unknown},
		{"an id that is no number", "saveJob", jsonType, "", `{"id":"x"}`, unknown},
		{"an empty string", "saveJob", jsonType, "", `{"id":""}`, unknown},
		{"an id that is an object", "saveJob", jsonType, "", `{"id":{}}`, unknown},
		{"an id that is an array", "saveJob", jsonType, "", `{"id":[1]}`, unknown},
		{"an id that is true", "saveJob", jsonType, "", `{"id":true}`, unknown},
		{"an id out of range", "saveJob", jsonType, "", `{"id":9223372036854775808}`, unknown},
		{"an array for an object", "saveJob", jsonType, "", `[{"id":1}]`, unknown},
		{"null for an object", "saveJob", jsonType, "", `null`, unknown},
		{"nothing", "saveJob", jsonType, "", ``, unknown},
		{"cut off", "saveJob", jsonType, "", `{"id":1`, unknown},
		{"cut off in a string", "saveJob", jsonType, "", `{"id":"1`, unknown},
		{"cut off in an escape", "saveJob", jsonType, "", `{"id":"\`, unknown},
		{"more than one value", "saveJob", jsonType, "", `{"id":1}{"id":2}`, unknown},
		{"no colon", "saveJob", jsonType, "", `{"id" 1}`, unknown},
		{"no comma", "saveJob", jsonType, "", `{"id":1 "x":2}`, unknown},
		{"no value", "saveJob", jsonType, "", `{"id":,"x":2}`, unknown},
		{"no key", "saveJob", jsonType, "", `{1:2}`, unknown},
		{"a comma too many", "saveJob", jsonType, "", `{"id":1,}`, unknown},
		{"a byte order mark", "saveJob", jsonType, "", "\uFEFF{\"id\":1}", unknown},
		{"UTF-16", "saveJob", jsonType, "", "{\x00}\x00", unknown},

		{"nodes, new and old", "addWorkflowNode", jsonType, "", `[{"id":3},{"id":null},{"nodeName":"x"},{"id":4}]`,
			Subjects{Known: []Subject{{WorkflowNode, 3}, {WorkflowNode, 4}}, Creates: true}},
		{"a node twice", "addWorkflowNode", jsonType, "", `[{"id":3},{"id":3}]`, known(WorkflowNode, 3)},
		{"no nodes", "addWorkflowNode", jsonType, "", ` [ ] `, Subjects{}},
		{"one bad node", "addWorkflowNode", jsonType, "", `[{"id":3},{"id":"x"}]`, unknown},
		{"an object for an array", "addWorkflowNode", jsonType, "", `{"id":3}`, unknown},
		{"an array that is cut off", "addWorkflowNode", jsonType, "", `[{"id":3},`, unknown},
		{"an array with no comma", "addWorkflowNode", jsonType, "", `[{"id":3} {"id":4}]`, unknown},

		{"a form", "runJob", formType, "", "appId=1&jobId=7&instanceParams=x", known(Job, 7)},
		{"a form with a charset", "runJob", "Application/X-WWW-Form-Urlencoded ; charset=UTF-8", "", "jobId=7", known(Job, 7)},
		{"the query", "runJob", "", "jobId=7", "", known(Job, 7)},
		{"the query before the body", "runJob", formType, "jobId=7", "jobId=8", known(Job, 7)},
		{"the first of repeated parameters", "runJob", formType, "", "jobId=7&jobId=8", known(Job, 7)},
		{"escapes", "runJob", formType, "", "x=%26jobId%3D1&job%49d=%37", known(Job, 7)},
		{"white space, which Spring trims", "runJob", formType, "", "jobId=+7%20", known(Job, 7)},
		{"an instance", "stopInstance", formType, "", "instanceId=7&appId=1", known(Instance, 7)},
		{"a workflow instance", "markWorkflowNodeAsSuccess", formType, "", "wfInstanceId=7&nodeId=8&appId=1", known(WorkflowInstance, 7)},

		{"another parameter", "runJob", formType, "", "jobid=7&JOBID=8", unknown},
		{"a parameter without a value", "runJob", formType, "", "jobId", unknown},
		{"an empty parameter", "runJob", formType, "", "jobId=&jobId=7", unknown},
		{"a bad escape in the value", "runJob", formType, "", "jobId=%zz", unknown},
		{"a bad escape in a name before it", "runJob", formType, "", "%zz=1&jobId=7", unknown},
		{"a bad escape in the query", "runJob", formType, "%zz=1", "jobId=7", unknown},
		{"hexadecimal, which Spring takes", "runJob", formType, "", "jobId=0x10", unknown},
		{"multipart, which Spring takes", "runJob", "multipart/form-data; boundary=x", "", "--x", unknown},
		{"a body of another type", "runJob", "text/plain", "", "jobId=7", unknown},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := call(t, test.call).SubjectsOf(test.contentType, test.query, []byte(test.body))
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("%s %s: got %+v, want %+v", test.call, test.body, got, test.want)
			}
		})
	}
}

func TestWhatARequestMakesButDoesNotName(t *testing.T) {
	for _, test := range []struct {
		call string
		s    Subjects
		want bool
	}{
		{"saveJob", creates, true},
		{"saveJob", unknown, true},
		{"saveJob", known(Job, 7), false},
		{"addWorkflowNode", Subjects{Known: known(WorkflowNode, 7).Known, Creates: true}, true},
		{"addWorkflowNode", known(WorkflowNode, 7), false},
		{"copyJob", known(Job, 7), true},
		{"runJob", known(Job, 7), true},
		{"disableJob", known(Job, 7), false},
		{"disableJob", unknown, false},
	} {
		if got := call(t, test.call).Makes(test.s); got != test.want {
			t.Errorf("%s about %+v: got %v, want %v", test.call, test.s, got, test.want)
		}
	}
}

func TestTheSubjectsOfOneRequestAreBounded(t *testing.T) {
	c := call(t, "addWorkflowNode")
	nodes := func(n int) []byte {
		all := make([]string, n)
		for i := range all {
			all[i] = fmt.Sprintf(`{"id":%d}`, i+1)
		}
		return []byte("[" + strings.Join(all, ",") + "]")
	}
	if got := c.SubjectsOf(jsonType, "", nodes(maxSubjects)); got.Unknown || len(got.Known) != maxSubjects {
		t.Errorf("%d nodes: got %d, unknown %v", maxSubjects, len(got.Known), got.Unknown)
	}
	if got := c.SubjectsOf(jsonType, "", nodes(maxSubjects+1)); !reflect.DeepEqual(got, unknown) {
		t.Errorf("%d nodes: got %+v, want unknown", maxSubjects+1, got)
	}
}

// A reader that recursed, or read a body more than once for each level, would
// not come to an end here.
func TestHugeAndDeepInputIsReadInOneGo(t *testing.T) {
	c := call(t, "saveJob")
	const deep = 1 << 20
	nested := `{"x":` + strings.Repeat("[", deep) + strings.Repeat("]", deep) + `,"id":7}`
	if got := c.SubjectsOf(jsonType, "", []byte(nested)); !reflect.DeepEqual(got, known(Job, 7)) {
		t.Errorf("%d levels: got %+v", deep, got)
	}
	if got := c.SubjectsOf(jsonType, "", []byte(strings.Repeat("[{", deep))); !reflect.DeepEqual(got, unknown) {
		t.Errorf("%d open brackets: got %+v", deep, got)
	}
	long := `{"x":"` + strings.Repeat(`\"`, deep) + `","id":7}`
	if got := c.SubjectsOf(jsonType, "", []byte(long)); !reflect.DeepEqual(got, known(Job, 7)) {
		t.Errorf("a long string: got %+v", got)
	}
	many := strings.Repeat("a=b&", deep) + "jobId=7"
	if got := call(t, "runJob").SubjectsOf(formType, "", []byte(many)); !reflect.DeepEqual(got, known(Job, 7)) {
		t.Errorf("%d parameters: got %+v", deep, got)
	}
}

func TestAParameterIsReadFromTheQueryAndThenTheBody(t *testing.T) {
	for _, test := range []struct {
		contentType, query, body string
		value                    string
		found, ok                bool
	}{
		{formType, "", "a=1&b=2", "2", true, true},
		{formType, "b=3", "a=1&b=2", "3", true, true},
		{formType, "b=", "b=2", "", true, true},
		{formType, "c=3", "a=1", "", false, true},
		{formType, "", "b=a+b%2Bc", "a b+c", true, true},
		{formType, "", "b=%", "", false, false},
		{"text/plain", "", "b=2", "", false, true},
		{"multipart/form-data", "", "b=2", "", false, false},
		{"multipart/form-data", "b=2", "", "2", true, true},
		{"", "&&b=2", "", "2", true, true},
	} {
		value, found, ok := Parameter("b", test.contentType, test.query, []byte(test.body))
		if value != test.value || found != test.found || ok != test.ok {
			t.Errorf("%+v: got %q, %v, %v", test, value, found, ok)
		}
	}
}

func FuzzSubjects(f *testing.F) {
	f.Add("saveJob", jsonType, "", []byte(`{"id":1,"jobName":"a"}`))
	f.Add("addWorkflowNode", jsonType, "", []byte(`[{"id":1},{"id":null},{}]`))
	f.Add("runJob", formType, "jobId=1", []byte("appId=1&jobId=2"))
	f.Add("copyWorkflow", "multipart/form-data; boundary=x", "%zz", []byte("--x"))
	f.Fuzz(func(t *testing.T, name, contentType, query string, body []byte) {
		c, ok := Lookup(name)
		if !ok {
			return
		}
		s := c.SubjectsOf(contentType, query, body)
		switch {
		case len(s.Known) > maxSubjects:
			t.Fatalf("%d subjects", len(s.Known))
		case s.Unknown && (s.Creates || s.Known != nil):
			t.Fatalf("unknown, and yet %+v", s)
		case c.Kind != Change && !reflect.DeepEqual(s, Subjects{}):
			t.Fatalf("%s changes %+v", name, s)
		}
		for _, k := range s.Known {
			if k.Kind != c.Subject {
				t.Fatalf("%s names a subject of kind %d", name, k.Kind)
			}
		}
		if len(c.Created(body)) > maxSubjects {
			t.Fatal("more was created than is ever looked at")
		}
		IssuedBy(body)
	})
}
