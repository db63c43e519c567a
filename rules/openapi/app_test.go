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
		{form, "", "app%49d=%37+", "7 ", nil},
		{form, "", "appId=", "", nil},
		{form, "", "appId", "", nil},
		{"application/json", "", `{"appId":7,"x":{"appId":8}}`, "7", nil},
		{"application/json; charset=utf-8", "", `{"appIdEq":"7"}`, "7", nil},
		{"application/json", "", `{"appId":null}`, "-", nil},
		{"application/vnd.x+json", "", `[{"appId":7},{"appId":7},{}]`, "7", nil},

		{form, "appId=7", "appId=8", "", ErrSeveralApps},
		{form, "", "appId=7&appid=8", "", ErrSeveralApps},
		{form, "", "appId=7&appId=", "", ErrSeveralApps},
		{"application/json", "appId=7", `{"appId":8}`, "", ErrSeveralApps},
		{"application/json", "", `{"appId":7,"appId":8}`, "", ErrSeveralApps},
		{"application/json", "", `[{"appId":7},{"appIdEq":8}]`, "", ErrSeveralApps},

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
		got, err := NamedApp([]string{test.contentType}, test.query, []byte(test.body))
		text := string(got)
		if got == nil && err == nil {
			text = "-"
		}
		if text != test.want || !errors.Is(err, test.err) {
			t.Errorf("%q %q %s: got %q, %v, want %q, %v", test.contentType, test.query, test.body, text, err, test.want, test.err)
		}
	}
	for _, types := range [][]string{nil, {"application/json", "application/json"}} {
		if _, err := NamedApp(types, "", []byte(`{"appId":7}`)); !errors.Is(err, ErrUnreadable) {
			t.Errorf("content types %q: got %v, want ErrUnreadable", types, err)
		}
	}
}

func TestTheNameThatALoginIsFor(t *testing.T) {
	for _, test := range []struct{ call, query, body, want string }{
		{"authApp", "", `{"appName":"a b","encryptType":"md5"}`, "a b"},
		{"authApp", "", `{"appName":"\u4efb"}`, "任"},
		{"authApp", "", `{"appName":null}`, ""},
		{"authApp", "", `{"appName":7}`, ""},
		{"authApp", "", `{}`, ""},
		{"authApp", "", `no`, ""},
		{"assert", "", "appName=a+b&password=x", "a b"},
		{"assert", "appName=q", "appName=b", "q"},
		{"assert", "", "password=x", ""},
		{"assert", "", "appName=%zz", ""},
	} {
		if got := call(t, test.call).LoginName(formType, test.query, []byte(test.body)); got != test.want {
			t.Errorf("%+v: got %q", test, got)
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
