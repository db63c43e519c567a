package openapi

import (
	"reflect"
	"strings"
	"testing"
)

func TestOnlySuccessTrueIsSuccess(t *testing.T) {
	for answer, want := range map[string]bool{
		`{"success":true,"data":1,"message":null}`:     true,
		` {"data":{"success":false},"success": true} `: true,
		`{"success":false,"data":null,"message":"no"}`: false,
		`{"success":"true"}`:                           false,
		`{"success":1}`:                                false,
		`{"Success":true}`:                             false,
		`{"data":{"success":true}}`:                    false,
		`{"success":true,"success":false}`:             false,
		`{}`:                                           false,
		`true`:                                         false,
		``:                                             false,
		`<html>"success":true</html>`:                  false,
		`{"success":true`:                              false,
		`{"success":true} trailing`:                    false,
	} {
		if got := Succeeded([]byte(answer)); got != want {
			t.Errorf("%s: got %v, want %v", answer, got, want)
		}
	}
}

func TestCreatedThingsAreReadFromTheAnswer(t *testing.T) {
	for _, test := range []struct {
		call, answer string
		want         []Subject
	}{
		{"saveJob", `{"success":true,"data":12}`, []Subject{{Job, 12}}},
		{"saveJob", `{"success":true,"data":"12"}`, []Subject{{Job, 12}}},
		{"copyJob", `{"success":true,"data":12}`, []Subject{{Job, 12}}},
		{"runJob", `{"success":true,"data":730000000000000064}`, []Subject{{Instance, 730000000000000064}}},
		{"runWorkflow", `{"success":true,"data":5}`, []Subject{{WorkflowInstance, 5}}},
		{"saveJob", `{"success":true,"data":{"id":12,"name":"a"}}`, []Subject{{Job, 12}}},
		{"addWorkflowNode", `{"success":true,"data":[{"id":3,"nodeName":"x"},{"id":4},{"id":null},{}]}`, []Subject{{WorkflowNode, 3}, {WorkflowNode, 4}}},
		{"addWorkflowNode", `{"success":true,"data":[]}`, nil},
		{"disableJob", `{"success":true,"data":12}`, nil},
		{"saveJob", `{"success":true,"data":null}`, nil},
		{"saveJob", `{"success":true,"data":{}}`, nil},
		{"saveJob", `{"success":true,"data":"x"}`, nil},
		{"saveJob", `{"success":true}`, nil},
		{"saveJob", `not JSON`, nil},
	} {
		if got := call(t, test.call).Created([]byte(test.answer)); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s %s: got %+v, want %+v", test.call, test.answer, got, test.want)
		}
	}
	many := `{"data":[` + strings.Repeat("1,", 10*maxSubjects) + `1]}`
	if got := len(call(t, "addWorkflowNode").Created([]byte(many))); got != maxSubjects {
		t.Errorf("got %d, want the bound of %d", got, maxSubjects)
	}
}

func TestALoginsAnswerTellsAppAndToken(t *testing.T) {
	for answer, want := range map[string]Issued{
		`{"success":true,"data":{"appId":1,"token":"eyJ.a-b_c","extra":null},"message":null,"code":null}`: {"1", "eyJ.a-b_c"},
		`{"success":true,"data":{"appId":"1","token":"x"}}`:                                               {"1", "x"},

		`{"success":false,"data":null,"message":"INCORRECT_PASSWORD","code":"-400"}`: {},
		`{"success":false,"data":{"appId":1,"token":"x"}}`:                           {},
		`{"success":true,"data":null}`:                                               {},
		`{"success":true}`:                                                           {},
		`{"success":true,"data":{"appId":1}}`:                                        {},
		`{"success":true,"data":{"token":"x"}}`:                                      {},
		`{"success":true,"data":{"appId":1,"token":""}}`:                             {},
		`{"success":true,"data":{"appId":1,"token":null}}`:                           {},
		`{"success":true,"data":{"appId":1,"token":12345}}`:                          {},
		`{"success":true,"data":{"appId":"","token":"x"}}`:                           {},
		`{"success":true,"data":{"appId":{},"token":"x"}}`:                           {},
		`{"success":true,"data":1}`:                                                  {},
		`{"timestamp":"…","status":404,"error":"Not Found"}`:                         {},
		``: {},
	} {
		got, ok := IssuedBy([]byte(answer))
		if got != want || ok != (want != Issued{}) {
			t.Errorf("%s: got %+v, %v, want %+v", answer, got, ok, want)
		}
	}
}
