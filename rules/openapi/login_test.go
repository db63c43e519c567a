package openapi

import (
	"errors"
	"testing"
)

func TestTheNameThatALoginIsFor(t *testing.T) {
	for _, test := range []struct {
		call, query, body, want string
		err                     error
	}{
		{"authApp", "", `{"appName":"a b","encryptType":"md5"}`, "a b", nil},
		{"authApp", "", `{"appName":"\u4efb"}`, "任", nil},
		{"authApp", "", `{"appName":null}`, "", nil},
		{"authApp", "", `{}`, "", nil},
		{"authApp", "", "", "", nil},
		{"authApp", "", `{"appName":7}`, "", ErrUnreadable},
		{"authApp", "", `{"\u0061ppName":"a"}`, "", ErrUnreadable},
		{"authApp", "", `no`, "", ErrUnreadable},
		{"authApp", "", `{"appName":"app2","APPNAME":"app1"}`, "", ErrSeveralApps},
		{"authApp", "", `{"APPNAME":"app1"}`, "", ErrSeveralApps},
		{"authApp", "", `{"appName":"app2","appName":"app1"}`, "", ErrSeveralApps},
		{"authApp", "", `{"appName":"a","encryptedPassword":"x","EncryptedPassword":"y"}`, "", ErrSeveralApps},
		{"assert", "", "appName=a+b&password=x", "a b", nil},
		{"assert", "appName=q", "password=x", "q", nil},
		{"assert", "", "password=x", "", nil},
		{"assert", "appName=q", "appName=b", "", ErrSeveralApps},
		{"assert", "", "appName=b&appname=b", "", ErrSeveralApps},
		{"assert", "", "appName=%zz", "", ErrUnreadable},
	} {
		contentType := map[string]string{"authApp": "application/json", "assert": formType}[test.call]
		got, err := call(t, test.call).LoginName([]string{contentType}, test.query, []byte(test.body))
		if got != test.want || !errors.Is(err, test.err) {
			t.Errorf("%+v: got %q, %v", test, got, err)
		}
	}
	for name, contentType := range map[string]string{"authApp": "text/plain", "assert": "multipart/form-data; boundary=b"} {
		if _, err := call(t, name).LoginName([]string{contentType}, "", []byte(`{"appName":"a"}`)); !errors.Is(err, ErrUnreadable) {
			t.Errorf("%s in %s: %v, want ErrUnreadable", name, contentType, err)
		}
	}
}
