package proxy

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"powerjob-shim/internal/standin/legacy"
	"powerjob-shim/proxy/exchange"
	"powerjob-shim/rules/openapi"
)

// pathCase is a notation of a saveJob call and what a real 4.3.9 server made of
// it; test/e2e records and checks them.
type pathCase struct {
	Target      string
	ContentType string `json:"content_type"`
	Method      string // "": POST
	Executed    bool
}

func pathCases(t testing.TB) []pathCase {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "paths-4.3.9.json"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []pathCase
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	for i := range cases {
		if cases[i].Method == "" {
			cases[i].Method = "POST"
		}
	}
	return cases
}

// TestNoNotationThatARealServerExecutesPassesAsAnotherCall holds what reaches
// the server against what a real one does with it.
func TestNoNotationThatARealServerExecutesPassesAsAnotherCall(t *testing.T) {
	const id = "7"
	var reached atomic.Int64
	up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/openApi/authApp" {
			_, _ = fmt.Fprint(w, `{"success":true,"data":{"appId":`+id+`,"token":"good"}}`)
			return
		}
		reached.Add(1)
		_, _ = fmt.Fprint(w, `{"success":true,"data":1,"message":null}`)
	})
	settings := dedupSettings(t, up)
	settings.Access = enforce
	s := newShim(t, settings)
	raw(t, s.addr, loginRequest("app1", "pw"))

	executed, passed := 0, 0
	for n, c := range pathCases(t) {
		send := func(variant string, headers ...string) (forwarded bool, call any) {
			if c.ContentType != "" {
				headers = append(headers, "Content-Type: "+c.ContentType)
			}
			before, logged := reached.Load(), s.logs.FilterMessage("request").Len()
			answer := raw(t, s.addr, request(c.Method, c.Target, fmt.Sprintf(`{"appId":7,"jobName":"%s %d"}`, variant, n), headers...))
			if statusOf(answer) == 0 {
				t.Errorf("%s %q is not answered", c.Method, c.Target)
			}
			if reached.Load() == before {
				return false, nil
			}
			return true, s.logLine(t, logged)["call"]
		}
		if forwarded, _ := send("no token"); forwarded {
			t.Errorf("%s %q, %q reaches the server without a token", c.Method, c.Target, c.ContentType)
		}
		forwarded, call := send("token", asApp(id, "good")...)
		if c.Executed {
			executed++
			if forwarded && call != "saveJob" {
				t.Errorf("%s %q, %q is executed by a server as saveJob, and passed as %v", c.Method, c.Target, c.ContentType, call)
			}
			if forwarded {
				passed++
			}
		}
	}
	if executed < 20 || passed != executed {
		t.Errorf("of %d notations that a server executes %d passed with a good token", executed, passed)
	}
}

// FuzzTheGate sends anything, with a token of app 1 and without one, through a
// gate to a stand-in server, which routes and reads parameters by code of its
// own. Whatever that executes must be a call that was recognised, with a token,
// and for app 1.
func FuzzTheGate(f *testing.F) {
	const form, mime = "application/x-www-form-urlencoded", "application/json"
	for _, c := range pathCases(f) {
		f.Add(c.Method, c.Target, c.ContentType, `{"appId":1,"jobName":"a"}`, true)
	}
	f.Add("POST", "/openApi/saveJob", mime, `{"appId":2,"jobName":"a"}`, true)
	f.Add("POST", "/openApi/saveJob", mime, `{"appId":1,"appId":"2"}`, true)
	f.Add("POST", "/openApi/addWorkflowNode", mime, `[{"appId":1,"jobId":1},{"appId":2,"jobId":2}]`, true)
	f.Add("POST", "/openApi/runJob?appId=2", form, "jobId=2&appId=1", true)
	f.Add("POST", "/openApi/runJob", form, "jobId=2&appId=%32", true)
	f.Add("POST", "/openApi/runJob", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"appId\"\r\n\r\n2\r\n--b--", true)
	f.Add("POST", "/openApi/authApp", mime, `{"appName":"app2","encryptedPassword":"`+legacy.HashPassword("other")+`","encryptType":"md5"}`, false)

	server, url := startLegacy(f, legacy.Options{Apps: twoApps})
	for app := 1; app <= 2; app++ { // something to run
		server.Serve(legacy.Input{Call: "saveJob", JSON: fmt.Appendf(nil, `{"appId":%d,"jobName":"job"}`, app)})
	}
	settings := settingsFor(f, url)
	settings.Access, settings.AccessLog = enforce, false
	p, err := New(Options{}, settings)
	if err != nil {
		f.Fatal(err)
	}
	front := newUnstartedUpstream(f, p.ServeHTTP)
	front.Start()
	token := tokenOf(f, front.Listener.Addr().String(), "app1", "pw")

	f.Fuzz(func(t *testing.T, method, target, contentType, body string, authorised bool) {
		head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n", method, target, len(body))
		if contentType != "" {
			head += "Content-Type: " + contentType + "\r\n"
		}
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head + "\r\n" + body)))
		if err != nil || len(r.TransferEncoding) > 0 {
			return
		}
		r.RemoteAddr = "127.0.0.1:1"
		r.Header.Del(openapi.AppIDHeader) // the input may have smuggled lines in
		r.Header.Del(openapi.TokenHeader)
		if authorised {
			r.Header.Set(openapi.AppIDHeader, "1")
			r.Header.Set(openapi.TokenHeader, token)
		}
		before := len(server.Executions())
		p.ServeHTTP(httptest.NewRecorder(), r)
		for _, e := range server.Executions()[before:] {
			if !authorised || e.AppID != 1 {
				t.Errorf("%s %q, %q, %q, authorised %v: %s of app %d was executed", method, target, contentType, body, authorised, e.Call, e.AppID)
			}
			if path, err := openapi.RoutePath(strings.SplitN(exchange.RequestURI(r), "?", 2)[0]); err != nil || openapi.ByPath(path) == nil || openapi.ByPath(path).Name != e.Call {
				t.Errorf("%q was executed as %s and recognised as %s, %v", target, e.Call, path, err)
			}
		}
	})
}
