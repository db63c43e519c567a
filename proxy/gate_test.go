package proxy

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"powerjob-shim/internal/standin/client"
	"powerjob-shim/internal/standin/legacy"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/openapi"
)

// twoApps are apps of a stand-in server; the second is the one who must not.
var twoApps = []legacy.App{{ID: 1, Name: "app1", Password: "pw"}, {ID: 2, Name: "app2", Password: "other"}}

// newGated starts a stand-in server with two apps and a shim with the default
// rules and a policy in front of it.
func newGated(t testing.TB, policy access.Policy) (*shim, *legacy.Server) {
	t.Helper()
	server, url := startLegacy(t, legacy.Options{Apps: twoApps})
	settings := dedupSettings(t, url)
	settings.Access = policy
	return newShim(t, settings), server
}

var enforce = access.Policy{Mode: access.Enforce}

// tokenOf logs in to an app and returns its token.
func tokenOf(t testing.TB, addr, app, password string) string {
	t.Helper()
	body := fmt.Sprintf(`{"appName":%q,"encryptedPassword":%q,"encryptType":"md5"}`, app, legacy.HashPassword(password))
	_, answer := parse(t, raw(t, addr, request("POST", "/openApi/authApp", body, jsonLine)))
	issued, ok := openapi.IssuedBy([]byte(answer))
	if !ok {
		t.Fatalf("no token in %s", answer)
	}
	return issued.Token
}

// header lines of a call.
func asApp(id, token string) []string {
	return []string{openapi.AppIDHeader + ": " + id, openapi.TokenHeader + ": " + token}
}

// wantDenied checks an answer for a server's own refusal, byte for byte.
func wantDenied(t testing.TB, answer, body string) {
	t.Helper()
	if !strings.HasPrefix(answer, "HTTP/1.1 200 OK\r\n") || bodyOf(answer) != body {
		t.Errorf("got %q, want 200 and %s", answer, body)
	}
	if got := lines(answer, openapi.AuthHeader); len(got) != 1 || got[0] != openapi.AuthHeader+": false" {
		t.Errorf("the auth header is %q", got)
	}
	if got := lines(answer, "Content-Type"); len(got) != 1 || got[0] != "Content-Type: application/json;charset=utf-8" {
		t.Errorf("the content type is %q", got)
	}
}

// wantRefused checks for an error of the shim's own, which has no auth header.
func wantRefused(t testing.TB, answer string, status int) {
	t.Helper()
	if statusOf(answer) != status || !strings.Contains(answer, `{"success":false,"data":null,"message":"powerjob-shim: `) {
		t.Errorf("got %q, want %d", answer, status)
	}
	if got := lines(answer, openapi.AuthHeader); len(got) != 0 {
		t.Errorf("a refusal of the shim's own has %q", got)
	}
}

// refusals counts what the gate refused for a reason.
func (s *shim) refusals(t testing.TB, reason access.Reason) float64 {
	t.Helper()
	return s.sum(t, "powerjob_shim_gate_total", "decision", "refused", "reason", string(reason))
}

func TestACallWithoutAGoodTokenIsAnsweredAsAServerDoes(t *testing.T) {
	const (
		lack         = `{"success":false,"message":"INVALID_REQUEST:lack_of_appId_in_header","code":"-300"}`
		empty        = `{"success":false,"message":"OPEN_API_AUTH_FAILED:token_is_empty","code":"-1002"}`
		invalid      = `{"success":false,"message":"INVALID_TOKEN:not_issued_here_or_forgotten","code":"-401"}`
		inconsistent = `{"success":false,"message":"INVALID_REQUEST:Inconsistent_appId_from_token_and_header","code":"-300"}`
	)
	s, server := newGated(t, enforce)
	token, other := tokenOf(t, s.addr, "app1", "pw"), tokenOf(t, s.addr, "app2", "other")
	for _, c := range []struct {
		name    string
		headers []string
		body    string
		reason  access.Reason
	}{
		{"no app id", []string{openapi.TokenHeader + ": " + token}, lack, access.NoAppID},
		{"no token", []string{openapi.AppIDHeader + ": 1"}, empty, access.NoToken},
		{"an empty token", asApp("1", ""), empty, access.NoToken},
		{"a token that was made up", asApp("1", "eyJhbGciOiJIUzI1NiJ9.e30.x"), invalid, access.UnknownToken},
		{"two tokens", append(asApp("1", token), openapi.TokenHeader+": "+other), invalid, access.UnknownToken},
		{"another app's token", asApp("1", other), inconsistent, access.OtherApp},
		{"its token, another app's id", asApp("2", token), inconsistent, access.OtherApp},
		{"two app ids", append(asApp("1", token), openapi.AppIDHeader+": 2"), inconsistent, access.OtherApp},
		{"an app id in another notation", asApp("01", token), inconsistent, access.OtherApp},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := s.refusals(t, c.reason)
			wantDenied(t, raw(t, s.addr, request("POST", "/openApi/saveJob", saveBody(0, c.name), append(c.headers, jsonLine)...)), c.body)
			if got := s.refusals(t, c.reason); got != before+1 {
				t.Errorf("%s was counted %v times, want once", c.reason, got-before)
			}
		})
	}
	wantExecuted(t, server, "", 0)
	if n := server.Received("saveJob"); n != 0 {
		t.Errorf("%d calls reached the server", n)
	}
	raw(t, s.addr, request("POST", "/openApi/saveJob", saveBody(0, "good"), append(asApp("1", token), jsonLine)...))
	wantExecuted(t, server, "saveJob", 1)
}

func TestACallForAnotherAppThanItsTokensIsRefused(t *testing.T) {
	s, server := newGated(t, enforce)
	token := tokenOf(t, s.addr, "app1", "pw")
	const mine, theirs = `{"id":null,"appId":1,"jobName":"a"}`, `{"id":null,"appId":2,"jobName":"a"}`
	for _, c := range []struct {
		name, target, contentType, body string
		status                          int // 200: as a server denies
	}{
		{"in JSON", "saveJob", "application/json", theirs, 200},
		{"as text in JSON", "saveJob", "application/json", `{"id":null,"appId":"2"}`, 200},
		{"in JSON of another name", "saveJob", "application/vnd.a+json", theirs, 200},
		{"twice in JSON, the last one its own", "saveJob", "application/json", `{"appId":2,"appId":1}`, 200},
		{"in JSON with an escape in the name", "saveJob", "application/json", `{"\u0061ppId":2,"appId":1}`, 400},
		{"behind JSON", "saveJob", "application/json", mine + theirs, 400},
		{"as a fraction", "saveJob", "application/json", `{"appId":1.5}`, 200},
		{"in an array", "addWorkflowNode", "application/json", "[" + mine + "," + theirs + "]", 200},
		{"in an array, nested", "addWorkflowNode", "application/json", "[[" + theirs + "]]", 400},
		{"in a query for jobs", "queryJob", "application/json", `{"appIdEq":2}`, 200},
		{"in no query for jobs, which is for all", "queryJob", "application/json", `{"jobNameLike":"%"}`, 200},
		{"in a form", "runJob", "application/x-www-form-urlencoded", "jobId=1&appId=2", 200},
		{"in a form, second", "runJob", "application/x-www-form-urlencoded", "jobId=1&appId=1&appId=2", 200},
		{"in a form, as hexadecimal", "runJob", "application/x-www-form-urlencoded", "jobId=1&appId=0x2", 200},
		{"in a form, encoded", "runJob", "application/x-www-form-urlencoded", "jobId=1&%61ppId=%32", 200},
		{"in a form that is malformed", "runJob", "application/x-www-form-urlencoded", "jobId=1&%6=2", 400},
		{"in the query", "runJob?appId=2", "application/x-www-form-urlencoded", "jobId=1&appId=1", 200},
		{"in the query, no body", "runJob?jobId=1&appId=2", "", "", 200},
		{"in UTF-16", "saveJob", "application/json;charset=utf-16", theirs, 400},
		{"in UTF-16 that is not announced", "saveJob", "application/json", utf16(theirs), 400},
		{"in EBCDIC", "runJob", "application/x-www-form-urlencoded; charset=IBM037", "jobId=1", 400},
		{"in parts", "runJob", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"appId\"\r\n\r\n2\r\n--b--", 400},
		{"in XML", "saveJob", "application/xml", "<a><appId>2</appId></a>", 400},
		{"in a body of no type", "saveJob", "", theirs, 400},
		{"in a body that is too large", "saveJob", "application/json", `{"appId":2,"x":"` + strings.Repeat("x", 1<<20) + `"}`, 413},
	} {
		t.Run(c.name, func(t *testing.T) {
			headers := asApp("1", token)
			if c.contentType != "" {
				headers = append(headers, "Content-Type: "+c.contentType)
			}
			answer := raw(t, s.addr, request("POST", "/openApi/"+c.target, c.body, headers...))
			if c.status == http.StatusOK {
				wantDenied(t, answer, `{"success":false,"message":"INVALID_REQUEST:Inconsistent_appId_from_token_and_header","code":"-300"}`)
			} else {
				wantRefused(t, answer, c.status)
			}
		})
	}
	if got := server.Received("") - server.Received("authApp"); got != 0 {
		t.Errorf("%d calls reached the server", got)
	}
}

func utf16(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteByte(s[i])
		b.WriteByte(0)
	}
	return b.String()
}

func TestATokenEndsAfterItsTTL(t *testing.T) {
	s, server := newGated(t, access.Policy{Mode: access.Enforce, TokenTTL: time.Nanosecond})
	token := tokenOf(t, s.addr, "app1", "pw")
	wantDenied(t, raw(t, s.addr, request("POST", "/openApi/saveJob", saveBody(0, "a"), append(asApp("1", token), jsonLine)...)),
		`{"success":false,"message":"TOKEN_EXPIRED:JWT expired","code":"-403"}`)
	wantExecuted(t, server, "", 0)
	if got := s.refusals(t, access.ExpiredToken); got != 1 {
		t.Errorf("expired_token was counted %v times, want once", got)
	}
}

func TestARealClientPassesTheGate(t *testing.T) {
	s, server := newGated(t, enforce)
	c := logIn(t, s.addr)
	id := must(t, c, "saveJob", client.Params{"jobName": "a"}).ID()
	must(t, c, "fetchAllJob", nil)
	must(t, c, "queryJob", client.Params{"jobNameEq": "a"})
	instance := must(t, c, "runJob", client.Params{"jobId": id, "delay": 0}).ID()
	must(t, c, "fetchInstanceStatus", client.Params{"instanceId": instance})
	node := client.Params{"jobId": id, "type": 1, "nodeName": "n"}
	must(t, c, "addWorkflowNode", client.Params{"nodes": []client.Params{node}})
	for _, call := range []string{"saveJob", "runJob", "addWorkflowNode"} {
		wantExecuted(t, server, call, 1)
	}
	if got := s.sum(t, "powerjob_shim_gate_total", "decision", "refused"); got != 0 {
		t.Errorf("%v calls were refused", got)
	}
}

func TestInObserveModeTheGateOnlyCounts(t *testing.T) {
	s, server := newGated(t, access.Policy{Mode: access.Observe})
	answer := raw(t, s.addr, request("POST", "/openApi/saveJob", saveBody(0, "a"), jsonLine))
	if got := lines(answer, openapi.AuthHeader); len(got) != 1 || !strings.HasSuffix(got[0], ": true") {
		t.Errorf("the auth header is %q", got)
	}
	wantExecuted(t, server, "saveJob", 1)
	if got := s.sum(t, "powerjob_shim_gate_total", "decision", "observed", "reason", "legacy_client"); got != 1 {
		t.Errorf("observed %v times, want once", got)
	}
	line := s.logLine(t, 0)
	if line["gate"] != "observed" || line["gate_reason"] != "legacy_client" {
		t.Errorf("logged %v, %v", line["gate"], line["gate_reason"])
	}
}

func TestClientsWithoutATokenPassWhereTheyAreListed(t *testing.T) {
	here, elsewhere := netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")
	for _, c := range []struct {
		name   string
		policy access.Policy
		pass   bool
	}{
		{"nobody listed", access.Policy{}, false},
		{"by address", access.Policy{LegacyAddrs: []netip.Prefix{here}}, true},
		{"another address", access.Policy{LegacyAddrs: []netip.Prefix{elsewhere}}, false},
		{"by app", access.Policy{LegacyApps: []string{"app1"}}, true},
		{"by the app's id", access.Policy{LegacyApps: []string{"1"}}, true},
		{"another app", access.Policy{LegacyApps: []string{"app2", "2"}}, false},
		{"by both", access.Policy{LegacyAddrs: []netip.Prefix{here}, LegacyApps: []string{"app1"}}, true},
		{"by one of them", access.Policy{LegacyAddrs: []netip.Prefix{elsewhere}, LegacyApps: []string{"app1"}}, false},
		{"and narrowed to another app", access.Policy{LegacyAddrs: []netip.Prefix{here}, Apps: []string{"1"}}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.policy.Mode = access.Enforce
			s, server := newGated(t, c.policy)
			old, err := client.NewV4(client.Config{Addresses: []string{s.addr}, AppName: "app1", Password: "pw"})
			if err != nil {
				t.Fatal(err)
			}
			r, err := old.Call("saveJob", client.Params{"jobName": "a"})
			if err != nil || r.Success != c.pass {
				t.Errorf("the call: %v, %+v", err, r)
			}
			if !c.pass && !strings.Contains(r.Message, "auth.legacy_clients") {
				t.Errorf("the message does not say what to do: %s", r.Message)
			}
			want := 0
			if c.pass {
				want = 1
				if r, err := old.Call("fetchInstanceStatus", client.Params{"instanceId": 5}); err != nil || strings.Contains(r.Message, "powerjob-shim") {
					t.Errorf("a read by id: %v, %+v", err, r)
				}
			}
			wantExecuted(t, server, "saveJob", want)
		})
	}
}

func TestAllowNarrowsWhoMayCallAndLogIn(t *testing.T) {
	elsewhere := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	login := func(app, password string) string {
		return request("POST", "/openApi/authApp", fmt.Sprintf(`{"appName":%q,"encryptedPassword":%q,"encryptType":"md5"}`, app, legacy.HashPassword(password)), jsonLine)
	}
	t.Run("an address", func(t *testing.T) {
		s, server := newGated(t, access.Policy{Mode: access.Enforce, Addrs: elsewhere})
		wantRefused(t, raw(t, s.addr, login("app1", "pw")), http.StatusForbidden)
		wantRefused(t, raw(t, s.addr, request("POST", "/openApi/saveJob", saveBody(0, "a"), jsonLine)), http.StatusForbidden)
		// Who is no trusted proxy cannot say that it is elsewhere.
		wantRefused(t, raw(t, s.addr, request("POST", "/openApi/saveJob", saveBody(0, "a"), jsonLine, "X-Forwarded-For: 10.0.0.1")), http.StatusForbidden)
		if n := server.Received(""); n != 0 {
			t.Errorf("%d requests reached the server", n)
		}
	})
	for _, app := range []string{"app1", "1"} {
		t.Run("the app "+app, func(t *testing.T) {
			s, server := newGated(t, access.Policy{Mode: access.Enforce, Apps: []string{app}})
			must(t, logIn(t, s.addr), "saveJob", client.Params{"jobName": "a"})
			answer := raw(t, s.addr, login("app2", "other"))
			if statusOf(answer) == http.StatusOK { // an id's app was not known then
				t.Errorf("app2 logs in: %s", answer)
			}
			wantExecuted(t, server, "saveJob", 1)
		})
	}
	t.Run("another app", func(t *testing.T) {
		s, server := newGated(t, access.Policy{Mode: access.Enforce, Apps: []string{"2"}})
		token := tokenOf(t, s.addr, "app1", "pw") // nobody knows yet whose id 2 is
		wantRefused(t, raw(t, s.addr, request("POST", "/openApi/saveJob", saveBody(0, "a"), append(asApp("1", token), jsonLine)...)), http.StatusForbidden)
		wantExecuted(t, server, "", 0)
	})
}

func TestABlockedPathIsClosedInEveryNotation(t *testing.T) {
	var reached atomic.Int64
	up := upstream(t, func(http.ResponseWriter, *http.Request) { reached.Add(1) })
	settings := settingsFor(t, up)
	settings.Access.Block = []string{"/user/list", "/test/*", "/openApi/deleteJob"} // in mode off, too
	u := settings.Upstreams["default"]
	u.OpenAPIPrefix = "/x/openApi"
	settings.Upstreams["default"] = u
	s := newShim(t, settings)
	for _, target := range []string{
		"/user/list", "/user/list/", "/user/list?name=a", "/user/list;a=b", "/user;a=b/list", "/%75ser/list", "/user/lis%74", "http://shim.test/user/list",
		"/x/user/list", "/x;a=b/user/list", "/test/transport", "/test", "/x/test/transport", "/x/openApi/deleteJob", "/x/openApi/%64eleteJob",
	} {
		wantRefused(t, raw(t, s.addr, request("GET", target, "")), http.StatusForbidden)
	}
	for _, target := range []string{"//user/list", "/user//list", "/a/../user/list", "/user/./list", "/user/%2e/list", "/user%2flist", "/user\\list", "/%2575ser/list", "/user/list%00"} {
		if got := statusOf(raw(t, s.addr, request("GET", target, ""))); got != 400 && got != 403 {
			t.Errorf("%s is answered with %d", target, got)
		}
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("%d requests reached the server", n)
	}
	for _, target := range []string{"/", "/user/save", "/userlist", "/user/list/all", "/js/app.js?x=//"} {
		if got := statusOf(raw(t, s.addr, request("GET", target, ""))); got != 200 {
			t.Errorf("%s is answered with %d", target, got)
		}
	}
	if got := s.refusals(t, access.Blocked); got < 15 {
		t.Errorf("blocked was counted %v times", got)
	}
}

func TestAPathThatLooksLikeTheOpenAPIButIsNotUnderItsPrefixIsRefused(t *testing.T) {
	s, server := newGated(t, enforce)
	for _, target := range []string{"/x/openApi/saveJob", "/openapi/saveJob", "/OPENAPI/saveJob", "/openApi", "/openApi/", "/a/%6fpenApi/saveJob"} {
		wantRefused(t, raw(t, s.addr, request("POST", target, saveBody(0, "a"), jsonLine)), http.StatusForbidden)
	}
	for _, target := range []string{"//openApi/saveJob", "/openApi/../openApi/saveJob", "/openApi/%2e/saveJob", "/openApi%2fsaveJob"} {
		wantRefused(t, raw(t, s.addr, request("POST", target, saveBody(0, "a"), jsonLine)), http.StatusBadRequest)
	}
	if n := server.Received(""); n != 0 {
		t.Errorf("%d requests reached the server", n)
	}
	if got := statusOf(raw(t, s.addr, request("GET", "/", ""))); got != 200 {
		t.Errorf("the page is answered with %d", got)
	}
}

func TestAnOpenAPICallThatIsNotInTheCatalogueIsGatedToo(t *testing.T) {
	s, server := newGated(t, enforce)
	raw(t, s.addr, request("POST", "/openApi/runJob2", `{"appId":1,"jobId":1}`, append(asApp("1", "made up"), jsonLine)...))
	if n := server.Received(""); n != 0 {
		t.Errorf("%d requests reached the server", n)
	}
}

func TestTokensOutliveAReloadThatSwitchesTheGateOn(t *testing.T) {
	s, server := newGated(t, access.Policy{})
	c := logIn(t, s.addr)
	settings := s.snap.Load().Settings
	settings.Access = access.Policy{Mode: access.Enforce, Apps: []string{"app1"}}
	if err := s.Swap(settings); err != nil {
		t.Fatal(err)
	}
	must(t, c, "saveJob", client.Params{"jobName": "a"})
	wantExecuted(t, server, "saveJob", 1)
	if got := server.Received("authApp"); got != 2 {
		t.Errorf("%d logins, want the constructor's 2", got)
	}
}
