package legacy

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"powerjob-shim/internal/standin/client"
	"powerjob-shim/internal/wireclient"
)

const (
	formType = "application/x-www-form-urlencoded"
	jsonType = "application/json; charset=utf-8"
)

// start runs a server and returns it with its "host:port".
func start(t *testing.T, o Options) (*Server, string) {
	t.Helper()
	s := New(o)
	url, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, strings.TrimSuffix(strings.TrimPrefix(url, "http://"), o.Prefix)
}

// post sends one request on a connection of its own and reads the answer, with the
// header's names in exact case.
func post(t *testing.T, address, target, contentType, body string, header ...client.Field) (client.Response, error) {
	t.Helper()
	conn, err := net.Dial("tcp", address) //nolint:noctx // a test's connection, with a deadline
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	r := client.Request{Path: target, ContentType: contentType, Header: header, Body: []byte(body)}
	if err := client.WriteRequest(conn, address, r); err != nil {
		t.Fatal(err)
	}
	return wireclient.ReadResponse(bufio.NewReader(conn), 0)
}

// ask is post, and fails the test without an answer. It returns the auth header's value
// as the Java client sees it, and the body.
func ask(t *testing.T, address, target, contentType, body string, header ...client.Field) (auth, answer string) {
	t.Helper()
	r, err := post(t, address, target, contentType, body, header...)
	if err != nil {
		t.Fatal(err)
	}
	if r.Status != 200 {
		t.Errorf("%s: status %d", target, r.Status)
	}
	return r.Get(authHeader), string(r.Body)
}

func login(t *testing.T, address, app, password string) string {
	t.Helper()
	_, answer := ask(t, address, "/openApi/authApp", jsonType,
		fmt.Sprintf(`{"appName":%q,"encryptedPassword":%q,"encryptType":"md5"}`, app, HashPassword(password)))
	var got struct{ Data struct{ Token string } }
	if err := json.Unmarshal([]byte(answer), &got); err != nil || got.Data.Token == "" {
		t.Fatalf("login answered %s, %v", answer, err)
	}
	return got.Data.Token
}

func TestAServerWithItsCheckOnAnswersAsTheRealOne(t *testing.T) {
	now := time.Now()
	_, address := start(t, Options{Mode: CheckOn, Apps: []App{{1, "one", "pw"}, {2, "two", "pw"}}, Now: func() time.Time { return now }})
	token, other := login(t, address, "one", "pw"), login(t, address, "two", "pw")
	authApp := func(app, password string) string {
		return fmt.Sprintf(`{"appName":%q,"encryptedPassword":%q,"encryptType":"md5"}`, app, HashPassword(password))
	}
	with := func(token string) []client.Field {
		return []client.Field{{Name: appIDHeader, Value: "1"}, {Name: tokenHeader, Value: token}}
	}
	later := now.Add(8 * 24 * time.Hour)
	for _, c := range []struct {
		name, call, body string
		header           []client.Field
		at               time.Time
		auth, answer     string // answer: its beginning
	}{
		{"no app id header", "fetchAllJob", "appId=1", nil, now, "false", `{"success":false,"message":"INVALID_REQUEST:lack_of_appId_in_header","code":"-300"}`},
		{"no token", "fetchAllJob", "appId=1", with("")[:1], now, "false", `{"success":false,"message":"OPEN_API_AUTH_FAILED:token_is_empty","code":"-1002"}`},
		{"malformed token", "fetchAllJob", "appId=1", with("x"), now, "false", `{"success":false,"message":"INVALID_TOKEN:`},
		{"token of another app", "fetchAllJob", "appId=1", with(other), now, "false", `{"success":false,"message":"INVALID_REQUEST:Inconsistent_appId_from_token_and_header","code":"-300"}`},
		{"right token", "fetchAllJob", "appId=1", with(token), now, "true", `{"success":true,"data":[],"message":null}`},
		{"expired token", "fetchAllJob", "appId=1", with(token), later, "false", `{"success":false,"message":"TOKEN_EXPIRED:`},
		{"authApp", "authApp", authApp("one", "pw"), nil, now, "", `{"success":true,"data":{"appId":1,"token":"eyJ`},
		{"authApp, wrong password", "authApp", authApp("one", "no"), nil, now, "", `{"success":false,"data":null,"message":"INCORRECT_PASSWORD","code":"-400"}`},
		{"authApp, unknown app", "authApp", authApp("nope", "pw"), nil, now, "", `{"success":false,"data":null,"message":"INVALID_APP:nope","code":"-402"}`},
		{"assert", "assert", "appName=one&password=pw", nil, now, "", `{"success":true,"data":1,"message":null}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			contentType := formType
			if strings.HasPrefix(c.body, "{") {
				contentType = jsonType
			}
			now = c.at
			auth, answer := ask(t, address, "/openApi/"+c.call, contentType, c.body, c.header...)
			if auth != c.auth || !strings.HasPrefix(answer, c.answer) {
				t.Errorf("got %q, %s\nwant %q, %s", auth, answer, c.auth, c.answer)
			}
		})
	}
}

func TestTwoLoginsNeverGiveTheSameToken(t *testing.T) {
	s, address := start(t, Options{})
	first, second := login(t, address, "app1", "pw"), login(t, address, "app1", "pw")
	if first == second || s.LoginOf(first) != 1 || s.LoginOf(second) != 2 || s.LoginOf("x") != 0 {
		t.Errorf("tokens of logins %d and %d", s.LoginOf(first), s.LoginOf(second))
	}
}

func TestTheHeaderIsSentAsEachServerSendsIt(t *testing.T) {
	for mode, want := range map[Mode]string{Legacy: "", NoAuthApp: "", Patched: "true"} {
		_, address := start(t, Options{Mode: mode})
		for call, body := range map[string]string{"assert": "appName=nope", "fetchAllJob": "appId=1", "runJob": "jobId=9&appId=1"} {
			r, err := post(t, address, "/openApi/"+call, formType, body)
			if err != nil {
				t.Fatal(err)
			}
			if got := r.Get(authHeader); got != want {
				t.Errorf("%v %s: %q, want %q", mode, call, got, want)
			}
		}
	}
}

func TestAnOldServerHasNoAuthApp(t *testing.T) {
	_, address := start(t, Options{Mode: NoAuthApp})
	r, err := post(t, address, "/openApi/authApp", jsonType, `{}`)
	if err != nil || r.Status != 404 {
		t.Errorf("status %d, %v; want 404", r.Status, err)
	}
}

func TestAnswersAreChunkedJSON(t *testing.T) {
	for mode, contentType := range map[Mode]string{Legacy: "application/json;charset=utf-8", NoAuthApp: "application/json"} {
		_, address := start(t, Options{Mode: mode})
		r, err := post(t, address, "/openApi/fetchAllJob", formType, "appId=1")
		if err != nil {
			t.Fatal(err)
		}
		if r.Get("Content-Type") != contentType || r.Get("Transfer-Encoding") != "chunked" || r.Get("Content-Length") != "" {
			t.Errorf("%v: header %v", mode, r.Header)
		}
	}
}

func TestPathsAreRoutedAsTheRealServerRoutesThem(t *testing.T) {
	_, address := start(t, Options{})
	_, prefixed := start(t, Options{Prefix: "/x"})
	for target, want := range map[string]int{
		"/openApi/fetchAllJob": 200, "/openApi/fetchAllJob/": 200, "/openApi/%66etchAllJob": 200, "/openApi;x=y/fetchAllJob": 200,
		"/openApi/fetchAllJob;x=y": 200, "/openApi/fetchAllJob?appId=1": 200,
		"//openApi/fetchAllJob": 404, "/openApi//fetchAllJob": 404, "/openApi/./fetchAllJob": 404, "/openApi/x/../fetchAllJob": 404,
		"/openApi/x/%2e%2e/fetchAllJob": 404, "/openApi%2FfetchAllJob": 400, "/openApi/fetchalljob": 404, "/openApi/fetchAllJob.json": 404,
		"/openApi/fetchAllJob%20": 404, "/openApi\\fetchAllJob": 400, "/openApi/": 404, "/openApi": 404, "/openapi/fetchAllJob": 404, "/nothing": 404,
	} {
		if r, err := post(t, address, target, formType, "appId=1"); err != nil || r.Status != want {
			t.Errorf("%s: status %d, %v; want %d", target, r.Status, err, want)
		}
	}
	for target, want := range map[string]int{"/x/openApi/fetchAllJob": 200, "/openApi/fetchAllJob": 404, "/xopenApi/fetchAllJob": 404} {
		if r, err := post(t, prefixed, target, formType, "appId=1"); err != nil || r.Status != want {
			t.Errorf("under /x: %s: status %d, %v; want %d", target, r.Status, err, want)
		}
	}
}

func TestParametersComeFromTheQueryFirstThenTheBody(t *testing.T) {
	s, address := start(t, Options{})
	ask(t, address, "/openApi/saveJob", "application/vnd.x+json", `{"appId":"1","jobName":"a"}`)
	ask(t, address, "/openApi/saveJob", jsonType, `{"appId":1,"jobName":"b"}`)
	multipart := "--b\r\nContent-Disposition: form-data; name=\"appId\"\r\n\r\n1\r\n--b\r\nContent-Disposition: form-data; name=\"jobId\"\r\n\r\n2\r\n--b--\r\n"
	ask(t, address, "/openApi/copyJob?jobId=2&appId=1", formType, "jobId=1&appId=1")
	ask(t, address, "/openApi/copyJob?appId=1", formType, "jobId=2")
	ask(t, address, "/openApi/copyJob", "multipart/form-data; boundary=b", multipart)
	for i, e := range s.Executions()[2:] {
		if e.Subject != 2 || e.Result != int64(i+3) {
			t.Errorf("%+v, want a copy of job 2", e)
		}
	}
	if got := s.Executed("copyJob"); got != 3 {
		t.Errorf("%d copies, want 3", got)
	}
}

func TestBadInputIsABusinessErrorAndExecutesNothing(t *testing.T) {
	s, address := start(t, Options{Apps: []App{{1, "app1", "pw"}, {2, "app2", "pw"}}})
	ask(t, address, "/openApi/saveJob", jsonType, `{"appId":1,"jobName":"a"}`)
	for _, c := range []struct{ call, contentType, body string }{
		{"saveJob", jsonType, `{"appId":1`}, {"saveJob", jsonType, `[]`}, {"saveJob", jsonType, `null`}, {"saveJob", jsonType, ``}, {"saveJob", jsonType, `{"jobName":"a"}`},
		{"saveJob", jsonType, `{"appId":1,"id":9}`}, {"saveJob", jsonType, `{"appId":2,"id":1}`}, {"saveJob", jsonType, `{"appId":"x"}`},
		{"saveJob", formType, `appId=1`}, {"copyJob", formType, "jobId=x"}, {"copyJob", formType, "jobId=9"}, {"copyJob", formType, ""}, {"copyJob", formType, "%zz"},
		{"runJob", jsonType, `{"jobId":1,"appId":1}`}, {"runJob", formType, "jobId=1&appId=2"}, {"runJob", formType, "jobId=1&appId=1&delay=soon"},
		{"stopInstance", formType, "instanceId=1&appId=1"}, {"runWorkflow", formType, "workflowId=1&appId=1"}, {"saveWorkflow", jsonType, `{"id":1,"appId":1}`},
		{"addWorkflowNode", jsonType, `{}`}, {"addWorkflowNode", jsonType, `[]`}, {"addWorkflowNode", jsonType, `[{"appId":1},{"id":7,"appId":1}]`}, {"addWorkflowNode", jsonType, `[{"appId":1},{"appId":2}]`},
		{"stopWfInstance", formType, "wfInstanceId=1&appId=1"}, {"markWorkflowNodeAsSuccess", formType, "wfInstanceId=1&appId=1&nodeId=1"},
		{"fetchJob", formType, "jobId=9&appId=1"}, {"fetchInstanceStatus", formType, "instanceId=1"}, {"fetchWfInstanceInfo", formType, "wfInstanceId=1&appId=1"},
		{"assert", formType, "appName=nope"}, {"assert", formType, "appName=app1&password=no"},
	} {
		if _, answer := ask(t, address, "/openApi/"+c.call, c.contentType, c.body); !strings.HasPrefix(answer, `{"success":false,"data":null,"message":"`) {
			t.Errorf("%s %s: %s", c.call, c.body, answer)
		}
	}
	if got := s.Executed(""); got != 1 {
		t.Errorf("%d executions, want the first only", got)
	}
}

func TestOnlyPostIsServed(t *testing.T) {
	_, address := start(t, Options{})
	conn, err := net.Dial("tcp", address) //nolint:noctx // a test's connection
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET /openApi/copyJob?jobId=1 HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	r, err := wireclient.ReadResponse(bufio.NewReader(conn), 0)
	if err != nil || r.Status != 200 || !strings.Contains(string(r.Body), "Request method 'GET' not supported") {
		t.Errorf("%d %s, %v", r.Status, r.Body, err)
	}
}

func TestTokensAreKeptAsFingerprintsOnly(t *testing.T) {
	s, address := start(t, Options{})
	token := login(t, address, "app1", "pw")
	ask(t, address, "/openApi/saveJob", jsonType, `{"appId":1}`,
		client.Field{Name: appIDHeader, Value: "1"}, client.Field{Name: tokenHeader, Value: token})
	r := s.Requests()[1]
	if r.Token != Fingerprint(token) || r.Login != 1 || r.AppID != "1" || r.Host != address || string(r.Body) != `{"appId":1}` {
		t.Errorf("recorded %+v", r)
	}
	if e := s.Executions()[0]; e.Token != r.Token || e.Login != 1 || e.Call != "saveJob" || e.Result != 1 {
		t.Errorf("recorded %+v", e)
	}
	if strings.Contains(fmt.Sprint(s.Requests()[1], s.Executions()), token) {
		t.Error("the record holds the token itself")
	}
}
