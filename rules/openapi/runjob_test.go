package openapi

import (
	"slices"
	"testing"
)

func TestRunJob2AsTheFormOfRunJob(t *testing.T) {
	const plain = "application/json; charset=utf-8"
	for _, c := range []struct {
		contentType, body, form string
		lost                    []string
	}{
		{plain, `{"appId":1,"jobId":2,"instanceParams":"p","delay":3}`, "appId=1&delay=3&instanceParams=p&jobId=2", nil},
		{plain, `{"appId":1,"jobId":2,"instanceParams":null,"delay":null,"outerKey":null,"extendValue":null}`, "appId=1&jobId=2", nil},
		{"application/json", `{"jobId":"2","delay":"0","instanceParams":""}`, "delay=0&instanceParams=&jobId=2", nil},
		{plain, `{"jobId":1,"jobId":2}`, "jobId=2", nil}, // the last of several, as Jackson
		{plain, `{"jobId":2,"instanceParams":"a","instanceParams":null}`, "jobId=2", nil},
		{plain, `{"jobId":2,"instanceParams":"a&b=ü 任\u4efb\n"}`, "instanceParams=a%26b%3D%C3%BC+%E4%BB%BB%E4%BB%BB%0A&jobId=2", nil},
		{plain, `{"jobId":2,"instanceParams":7}`, "instanceParams=7&jobId=2", nil},
		{plain, `{"jobId":2,"outerKey":"k","extendValue":"v"}`, "jobId=2", []string{"extendValue", "outerKey"}},
		{plain, `{"jobId":2,"outerKey":"k","outerKey":null}`, "jobId=2", nil},
		{plain, `{"jobId":2,"outerKey":""}`, "jobId=2", nil}, // nothing is lost
		{plain, `{"jobId":2,"laterAddition":{"a":1},"JOBID":3}`, "jobId=2", []string{"JOBID", "laterAddition"}},
		{"application/json; charset=iso-8859-1", `{"jobId":2,"instanceParams":"p"}`, "instanceParams=p&jobId=2", nil},

		{"application/json; charset=iso-8859-1", `{"jobId":2,"instanceParams":"ü"}`, "", nil},
		{"application/x-www-form-urlencoded", `{"jobId":2}`, "", nil},
		{"", `{"jobId":2}`, "", nil},
		{plain, `{"appId":1}`, "", nil},
		{plain, `{"jobId":null}`, "", nil},
		{plain, `{"jobId":2.5}`, "", nil},
		{plain, `{"jobId":2,"appId":[1]}`, "", nil},
		{plain, `{"jobId":2,"delay":true}`, "", nil},
		{plain, `{"jobId":2,"instanceParams":{"a":1}}`, "", nil},
		{plain, `{"jobId":2,"instanceParams":"\ud800"}`, "", nil},
		{plain, "{\"jobId\":2,\"instanceParams\":\"\xff\"}", "", nil},
		{plain, `[{"jobId":2}]`, "", nil},
		{plain, `{"jobId":2} x`, "", nil},
		{plain, ``, "", nil},
	} {
		run, ok := RunJobOf([]string{c.contentType}, []byte(c.body))
		if ok != (c.form != "") || run.Form != c.form || !slices.Equal(run.Lost, c.lost) {
			t.Errorf("%s %s: got %+v, %t", c.contentType, c.body, run, ok)
		}
	}
	if _, ok := RunJobOf([]string{plain, plain}, []byte(`{"jobId":2}`)); ok {
		t.Error("two content types are read")
	}
}
