package proxy

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"powerjob-shim/internal/standin/client"
	"powerjob-shim/internal/standin/legacy"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/openapi"
)

// bridgeOf is a bridge that knows the first of twoApps.
func bridgeOf(password string) *access.IssuerSettings {
	return &access.IssuerSettings{Apps: map[string]string{"app1": password}, Secret: strings.Repeat("secret! ", 4)}
}

// bridged puts a login bridge in front of the settings' only group.
func bridged(s Settings, bridge *access.IssuerSettings) Settings {
	u := s.Upstreams["default"]
	u.Bridge = bridge
	s.Upstreams = map[string]Upstream{"default": u}
	return s
}

// newBridged starts a stand-in for a 4.x server and a shim with a login bridge
// in front of it.
func newBridged(t testing.TB, o legacy.Options) (*shim, *legacy.Server) {
	t.Helper()
	o.Mode, o.Apps = legacy.NoAuthApp, twoApps
	server, url := startLegacy(t, o)
	return newShim(t, bridged(dedupSettings(t, url), bridgeOf("pw"))), server
}

func TestWithoutTheBridgeA5xClientCannotStartOnA4xServer(t *testing.T) {
	_, url := startLegacy(t, legacy.Options{Mode: legacy.NoAuthApp})
	s := newShim(t, dedupSettings(t, url))
	if _, err := client.New(client.Config{Addresses: []string{s.addr}, AppName: "app1", Password: "pw"}); err == nil {
		t.Error("the client starts")
	}
}

func TestThroughTheBridgeA5xClientWorksOnA4xServer(t *testing.T) {
	s, server := newBridged(t, legacy.Options{})
	c := logIn(t, s.addr)
	id := must(t, c, "saveJob", client.Params{"jobName": "a"}).ID()
	must(t, c, "copyJob", client.Params{"jobId": id})
	must(t, c, "fetchAllJob", nil)
	wantExecuted(t, server, "", 2)

	var asserts []legacy.Request
	for _, q := range server.Requests() {
		switch q.Call {
		case "authApp":
			t.Error("authApp reached the server")
		case "assert":
			asserts = append(asserts, q)
		default:
			if q.Token != "" || q.AppID != "" {
				t.Errorf("%s reached the server with 5.x headers: %v", q.Call, q.Header)
			}
		}
	}
	if len(asserts) != 1 {
		t.Fatalf("the server was asked for the app id %d times, want once", len(asserts))
	}
	if got := string(asserts[0].Body); got != "appName=app1&password=pw" || asserts[0].Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		t.Errorf("asked with %q, %v", got, asserts[0].Header)
	}
	if got := s.sum(t, "powerjob_shim_logins_total", "kind", "bridged", "result", "ok"); got != 2 {
		t.Errorf("%v bridged logins were counted, want the constructor's 2", got)
	}
	if got := s.sum(t, "powerjob_shim_logins_total"); got != 2 {
		t.Errorf("%v logins of all kinds were counted, want 2", got)
	}
}

// loginRequest is an authApp as the real client sends it.
func loginRequest(app, password string) string {
	return request("POST", "/openApi/authApp", fmt.Sprintf(`{"appName":%q,"encryptedPassword":%q,"encryptType":"md5"}`, app, legacy.HashPassword(password)),
		"Content-Type: application/json; charset=utf-8")
}

func TestTheBridgeAnswersAsARealServer(t *testing.T) {
	s, server := newBridged(t, legacy.Options{})
	for _, c := range []struct{ name, request, want string }{
		{"a wrong password", loginRequest("app1", "wrong"), `{"success":false,"data":null,"message":"INCORRECT_PASSWORD","code":"-400"}`},
		{"the password itself", request("POST", "/openApi/authApp", `{"appName":"app1","encryptedPassword":"pw","encryptType":"none"}`, jsonLine),
			`{"success":false,"data":null,"message":"INCORRECT_PASSWORD","code":"-400"}`},
		{"an unknown app", loginRequest("nope", "pw"), `{"success":false,"data":null,"message":"INVALID_APP:nope","code":"-402"}`},
		{"an app of the server that has no password here", loginRequest("app2", "other"), `{"success":false,"data":null,"message":"INVALID_APP:app2","code":"-402"}`},
		{"no login", request("POST", "/openApi/authApp", "{", jsonLine), `{"success":false,"data":null,"message":"INVALID_REQUEST:not_a_login","code":"-300"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer := raw(t, s.addr, c.request)
			if bodyOf(answer) != c.want || statusOf(answer) != http.StatusOK {
				t.Errorf("got %q", answer)
			}
			if got := lines(answer, openapi.AuthHeader); len(got) != 1 || got[0] != openapi.AuthHeader+": true" {
				t.Errorf("the auth header is %q", got)
			}
		})
	}
	if n := server.Received(""); n != 0 {
		t.Errorf("the server was asked %d times", n)
	}
	if got := s.sum(t, "powerjob_shim_logins_total", "kind", "bridged", "result", "refused"); got != 5 {
		t.Errorf("%v refused logins were counted, want 5", got)
	}

	answer := raw(t, s.addr, loginRequest("app1", "pw"))
	if !strings.HasPrefix(bodyOf(answer), `{"success":true,"data":{"appId":1,"token":"eyJ`) || !strings.HasSuffix(bodyOf(answer), `","extra":null},"message":null,"code":null}`) {
		t.Errorf("got %q", answer)
	}
	if got := lines(answer, "Content-Type"); len(got) != 1 || got[0] != "Content-Type: application/json;charset=utf-8" {
		t.Errorf("the content type is %q", got)
	}
	if got := lines(answer, openapi.AuthHeader); len(got) != 1 || got[0] != openapi.AuthHeader+": true" {
		t.Errorf("the auth header is %q", got)
	}
	issued, _ := openapi.IssuedBy([]byte(bodyOf(answer)))
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(issued.Token, ".")[1])
	if err != nil || strings.Contains(string(payload), legacy.HashPassword("pw")) || !strings.Contains(string(payload), `"sub":"PowerJob"`) {
		t.Errorf("the token says %s, %v", payload, err)
	}
}

func TestReplicasWithOneSecretAcceptEachOthersTokens(t *testing.T) {
	server, url := startLegacy(t, legacy.Options{Mode: legacy.NoAuthApp, Apps: twoApps})
	start := func(bridge *access.IssuerSettings) *shim {
		settings := bridged(dedupSettings(t, url), bridge)
		settings.Access = access.Policy{Mode: access.Enforce, Apps: []string{"app1"}}
		return newShim(t, settings)
	}
	token := tokenOf(t, start(bridgeOf("pw")).addr, "app1", "pw")
	call := request("POST", "/openApi/saveJob", saveBody(0, "a"), append(asApp("1", token), jsonLine)...)

	raw(t, start(bridgeOf("pw")).addr, call)
	wantExecuted(t, server, "saveJob", 1)

	random, rotated := bridgeOf("pw"), bridgeOf("another password")
	random.Secret = ""
	for name, bridge := range map[string]*access.IssuerSettings{"another secret": random, "another password": rotated, "no bridge": nil} {
		wantDenied(t, raw(t, start(bridge).addr, call), `{"success":false,"message":"INVALID_TOKEN:not_issued_here_or_forgotten","code":"-401"}`)
		if t.Failed() {
			t.Fatal(name)
		}
	}
	wantExecuted(t, server, "saveJob", 1)
}

func TestATokenOfTheBridgeEndsWithItsPassword(t *testing.T) {
	server, url := startLegacy(t, legacy.Options{Mode: legacy.NoAuthApp, Apps: twoApps})
	settings := bridged(dedupSettings(t, url), bridgeOf("pw"))
	settings.Access = enforce
	s := newShim(t, settings)
	c := logIn(t, s.addr)
	must(t, c, "saveJob", client.Params{"jobName": "a"})
	if err := s.Swap(bridged(settings, bridgeOf("another"))); err != nil {
		t.Fatal(err)
	}
	if r, err := c.Call("saveJob", client.Params{"jobName": "b"}); err == nil {
		t.Errorf("the call ends with %+v, want the error of a refused login", r)
	}
	wantExecuted(t, server, "saveJob", 1)
}

func TestAnAppIDIsKeptForWhenTheServerIsAway(t *testing.T) {
	s, server := newBridged(t, legacy.Options{})
	tokenOf(t, s.addr, "app1", "pw")
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	tokenOf(t, s.addr, "app1", "pw")
	group := s.snap.Load().Groups["default"]
	group.Asserted.Set("app1", 1, time.Time{}) // of long ago
	tokenOf(t, s.addr, "app1", "pw")
}

func TestWhatTheBridgeSaysWhereTheServerCannotBeAsked(t *testing.T) {
	for _, c := range []struct {
		name     string
		server   func(t *testing.T) string
		password string
		status   int
		text     string
	}{
		{"away", func(t *testing.T) string { return deadServer(t) }, "pw", 502, "could not be asked"},
		{"its password is another", func(t *testing.T) string {
			_, url := startLegacy(t, legacy.Options{Mode: legacy.NoAuthApp, Apps: twoApps})
			return url
		}, "stale", 502, "refuses the password"},
		{"no PowerJob", func(t *testing.T) string { return upstream(t, http.NotFound) }, "pw", 502, "could not be asked"},
		{"silent", func(t *testing.T) string {
			done := make(chan struct{})
			url := upstream(t, func(http.ResponseWriter, *http.Request) { <-done })
			t.Cleanup(func() { close(done) })
			return url
		}, "pw", 504, "in time"},
	} {
		t.Run(c.name, func(t *testing.T) {
			settings := answering(bridged(dedupSettings(t, c.server(t)), bridgeOf(c.password)))
			if c.status == http.StatusGatewayTimeout {
				u := settings.Upstreams["default"]
				u.Timeout = 50_000_000 // 50 ms
				settings.Upstreams["default"] = u
			}
			s := newShim(t, settings)
			answer := raw(t, s.addr, loginRequest("app1", c.password))
			wantRefused(t, answer, c.status)
			if !strings.Contains(answer, c.text) {
				t.Errorf("got %q, want %q in it", answer, c.text)
			}
			if n := s.logs.FilterMessage("the login bridge cannot log a client in").Len(); n != 1 {
				t.Errorf("logged %d times, want once", n)
			}
			if n := s.snap.Load().Groups["default"].Upstream.Servers[0].InFlight(); n != 0 {
				t.Errorf("%d requests count as in flight", n)
			}
		})
	}
}

func TestLoginsThatAreNotBridgedPass(t *testing.T) {
	s, server := newBridged(t, legacy.Options{})
	answer := raw(t, s.addr, request("POST", "/openApi/assert", "appName=app2&password=other", formLine))
	if !strings.Contains(answer, `"data":2`) {
		t.Errorf("assert is answered with %q", answer)
	}
	raw(t, s.addr, request("GET", "/openApi/authApp", ""))
	if got := server.Received(""); got != 2 {
		t.Errorf("%d requests reached the server, want 2", got)
	}
}
