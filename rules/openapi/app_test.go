package openapi

import (
	"errors"
	"testing"
)

func TestTheAppThatARequestNames(t *testing.T) {
	const form = "application/x-www-form-urlencoded"
	for _, test := range []struct {
		contentType, query, body string
		want                     string // "-": none
		err                      error
	}{
		{"", "", "", "-", nil},
		{"", "jobId=1", "", "-", nil},
		{"", "appId=7", "", "7", nil},
		{form, "", "jobId=1&appId=7", "7", nil},
		{form + "; charset=UTF-8", "", "appId=7", "7", nil},
		{form, "appId=7", "APPID=7&appIdEq=7", "7", nil},
		{form, "", "app%49d=%37+", "7", nil},
		{form, "", "appId=%2B007", "7", nil},
		{form, "", "appId=", "-", nil},
		{form, "", "appId", "-", nil},
		{form, "", "appId=7&appId=", "7", nil},
		{"application/json", "", `{"appId":" 07 ","appIdEq":"null"}`, "7", nil},
		{"application/json", "", `{"appId":7,"x":{"appId":8}}`, "7", nil},
		{"application/json; charset=utf-8", "", `{"appIdEq":"7"}`, "7", nil},
		{"application/json", "", `{"appId":null}`, "-", nil},
		{"application/vnd.x+json", "", `[{"appId":7},{"appId":7},{}]`, "7", nil},

		{form, "appId=7", "appId=8", "", ErrSeveralApps},
		{form, "", "appId=7&appid=8", "", ErrSeveralApps},
		{"application/json", "appId=7", `{"appId":8}`, "", ErrSeveralApps},
		{"application/json", "", `{"appId":7,"appId":8}`, "", ErrSeveralApps},
		{"application/json", "", `[{"appId":7},{"appIdEq":8}]`, "", ErrSeveralApps},

		{form, "", "appId=0x7", "", ErrSeveralApps},
		{form, "", "appId=%EF%BC%97", "", ErrSeveralApps},
		{form, "", "appId=-7", "", ErrSeveralApps},
		{form, "", "appId=18446744073709551623", "", ErrSeveralApps},
		{"application/json", "", `{"appId":7.0}`, "", ErrSeveralApps},
		{"application/json", "", `{"appId":[7]}`, "", ErrSeveralApps},
		{"", "", "appId=7", "", ErrUnreadable},
		{"", "appId=%zz", "", "", ErrUnreadable},
		{form, "", "%zz=1", "", ErrUnreadable},
		{"text/plain", "", "appId=7", "", ErrUnreadable},
		{"multipart/form-data; boundary=x", "", "--x", "", ErrUnreadable},
		{form + "; charset=utf-16", "", "appId=7", "", ErrUnreadable},
		{"application/json; charset=utf-16", "", `{"appId":7}`, "", ErrUnreadable},
		{"application/json;;", "", `{"appId":7}`, "", ErrUnreadable},
		{"application/json", "", `{"\u0061ppId":7}`, "", ErrUnreadable},
		{"application/json", "", `{"appId":7`, "", ErrUnreadable},
		{"application/json", "", `[{"appId":7},8]`, "", ErrUnreadable},
		{"application/json", "", `7`, "", ErrUnreadable},
	} {
		var unknown *Call
		apps, err := unknown.AppsOf([]string{test.contentType}, test.query, []byte(test.body))
		text := string(apps.Named)
		if apps.Read != nil {
			t.Errorf("%+v: a server reads %q for a call that nobody knows", test, apps.Read)
		}
		if apps.Named == nil && err == nil {
			text = "-"
		}
		if text != test.want || !errors.Is(err, test.err) {
			t.Errorf("%q %q %s: got %q, %v, want %q, %v", test.contentType, test.query, test.body, text, err, test.want, test.err)
		}
	}
	for _, types := range [][]string{nil, {"application/json", "application/json"}} {
		if _, err := call(t, "saveJob").AppsOf(types, "", []byte(`{"appId":7}`)); !errors.Is(err, ErrUnreadable) {
			t.Errorf("content types %q: got %v, want ErrUnreadable", types, err)
		}
	}
}

func TestWhatAServerReadsAsTheCallsApp(t *testing.T) {
	const form, json = "application/x-www-form-urlencoded", "application/json"
	for _, test := range []struct{ call, contentType, query, body, want string }{
		{"fetchJob", form, "", "appId=7", "7"},
		{"fetchJob", form, "appId=7", "appId=7", "7"},
		{"fetchJob", form, "appId=", "appId=7", "-"},
		{"fetchJob", form, "", "APPID=7", "-"},
		{"fetchJob", json, "", `{"appId":7}`, "-"},
		{"copyJob", form, "", "appId=7", "-"},
		{"saveJob", json, "", `{"appId":7}`, "7"},
		{"saveJob", json, "appId=7", `{}`, "-"},
		{"saveJob", json, "", `{"appIdEq":7}`, "-"},
		{"queryJob", json, "", `{"appIdEq":null,"appIdEq":7}`, "7"},
		{"queryJob", json, "", `{"appIdEq":7,"appIdEq":null}`, "-"},
		{"queryJob", json, "", `{"appIdEq":7,"appIdEq":" "}`, "-"},
		{"queryJob", json, "", `{"appId":7}`, "-"},
		{"queryJob", json, "", `{"APPIDEQ":7}`, "-"},
		{"queryInstance", json, "appIdEq=7", `{}`, "-"},
		{"addWorkflowNode", json, "", `[{"appId":7},{"appId":7}]`, "7"},
	} {
		got, err := call(t, test.call).AppsOf([]string{test.contentType}, test.query, []byte(test.body))
		read := "-"
		if got.Read != nil {
			read = string(got.Read)
		}
		if read != test.want || err != nil {
			t.Errorf("%+v: read %s, %v", test, read, err)
		}
	}
}

func TestAssertsAnswerIsTheAppsID(t *testing.T) {
	for answer, want := range map[string]string{
		`{"success":true,"data":7,"message":null}`: "7",
		`{"success":true,"data":"7"}`:              "7",
		`{"success":true,"data":null}`:             "",
		`{"success":true}`:                         "",
		`{"success":false,"data":7}`:               "",
		``:                                         "",
	} {
		got, ok := AssertedApp([]byte(answer))
		if ok != (want != "") || ok && got != want {
			t.Errorf("%s: got %q, %v, want %q", answer, got, ok, want)
		}
	}
}

func TestTheMessageOfAnAnswer(t *testing.T) {
	for answer, want := range map[string]string{
		`{"success":false,"message":"no \"app\" \u4efb"}`: `no "app" 任`,
		`{"success":true,"message":null}`:                 "",
		`{"message":7}`:                                   "",
		`{}`:                                              "",
		`<html>`:                                          "",
	} {
		if got := Message([]byte(answer)); got != want {
			t.Errorf("%s: got %q, want %q", answer, got, want)
		}
	}
}
