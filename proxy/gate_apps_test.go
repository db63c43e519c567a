package proxy

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"powerjob-shim/internal/standin/legacy"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/openapi"
)

// appRead is a request and the app that a real 4.3.9 server was seen to read from
// it; test/e2e/appids_test.go makes the recording. The caller's app is 1.
type appRead struct {
	Call, Query, Type, Reads string
	Body                     []byte
}

func appsRecorded(t *testing.T) (all []appRead) {
	t.Helper()
	text, err := os.ReadFile("testdata/apps-4.3.9.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// message is the recorded request as its caller sends it, with these headers.
func (v appRead) message(headers ...string) string {
	if v.Type != "" {
		headers = append(headers, "Content-Type: "+v.Type)
	}
	target := "/openApi/" + v.Call
	if v.Query != "" {
		target += "?" + v.Query
	}
	return request("POST", target, string(v.Body), headers...)
}

// odd reports whether the request has something that names app 2, whether a
// server reads it or not, or that only some servers can read.
func (v appRead) odd() bool {
	text := v.Query + " " + string(v.Body)
	for _, plain := range []string{`"x":{"appId":2}`, `"x":{"appIdEq":2}`, `\"appId\":2`, `\"appIdEq\":2`} {
		text = strings.ReplaceAll(text, plain, "")
	}
	return strings.Contains(text, "2") || strings.Contains(text, "%zz") || strings.HasPrefix(v.Type, "multipart") || strings.Contains(text, "\ufeff")
}

// TestTheGateJudgesWhatARealServerReads sends everything that was recorded as app
// 1 through the gate.
func TestTheGateJudgesWhatARealServerReads(t *testing.T) {
	var reached atomic.Int64
	url := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/authApp") {
			_, _ = w.Write([]byte(`{"success":true,"data":{"appId":1,"token":"t1"},"message":null}`))
			return
		}
		reached.Add(1)
		_, _ = w.Write([]byte(`{"success":true,"data":null,"message":null}`))
	})
	for name, c := range map[string]struct {
		policy  access.Policy
		headers []string
	}{
		"a 5.x client": {enforce, asApp("1", "t1")},
		"a 4.x client": {access.Policy{Mode: access.Enforce, LegacyApps: []string{"1"}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			settings := dedupSettings(t, url)
			settings.Access = c.policy
			s := newShim(t, settings)
			raw(t, s.addr, request("POST", "/openApi/authApp", `{"appName":"app1","encryptedPassword":"x","encryptType":"md5"}`, jsonLine))
			all := appsRecorded(t)
			read := map[string]int{}
			for _, v := range all {
				read[v.Reads]++
				before := reached.Load()
				answer := exchangeOnce(t, s.addr, v.message(c.headers...))
				passed := reached.Load() > before
				switch {
				case passed && (v.Reads == "2" || v.Reads == "1,2" || v.Reads == "all" || v.Reads == "another"):
					t.Errorf("%s %q %q %q: the server reads %s, and it passed", v.Call, v.Query, v.Type, v.Body, v.Reads)
				case !passed && v.Reads == "1" && !v.odd():
					t.Errorf("%s %q %q %q: the server reads the caller's own app, and it was refused: %s", v.Call, v.Query, v.Type, v.Body, answer)
				}
			}
			if len(all) < 1000 || read["1"] < 100 || read["2"] < 100 || read["all"] < 10 || read["none"] < 100 {
				t.Errorf("the recording has %d requests: %v", len(all), read)
			}
		})
	}
}

// A query of which the server reads no app gets the jobs of all: each of these did.
func TestAQueryForAllAppsIsRefused(t *testing.T) {
	s, server := newGated(t, enforce)
	token := tokenOf(t, s.addr, "app1", "pw")
	for _, c := range [][2]string{
		{"", `{"appId":1}`}, {"", `{"APPIDEQ":1}`}, {"", `{"appIdEq":null,"appId":1}`}, {"", `{"appIdEq":1,"appIdEq":null}`}, {"?appId=1", `{}`}, {"?appIdEq=1", `{}`},
	} {
		for _, call := range []string{"queryJob", "queryInstance"} {
			answer := raw(t, s.addr, request("POST", "/openApi/"+call+c[0], c[1], append(asApp("1", token), jsonLine)...))
			wantDenied(t, answer, `{"success":false,"message":"INVALID_REQUEST:Inconsistent_appId_from_token_and_header","code":"-300"}`)
		}
	}
	if n := server.Received("queryJob") + server.Received("queryInstance"); n != 0 {
		t.Errorf("%d queries reached the server", n)
	}
	raw(t, s.addr, request("POST", "/openApi/queryJob", `{"appIdEq":1}`, append(asApp("1", token), jsonLine)...))
	if n := server.Received("queryJob"); n != 1 {
		t.Errorf("a query for the own app reached the server %d times", n)
	}
}

func TestALoginThatNamesTwoAppsIsRefused(t *testing.T) {
	for _, policy := range []access.Policy{enforce, {Mode: access.Enforce, Apps: []string{"app1", "7"}}} {
		s, server := newGated(t, policy)
		for _, body := range []string{
			`{"appName":"app2","APPNAME":"app1","encryptedPassword":"x","encryptType":"md5"}`,
			`{"appName":"app2","appName":"app1","encryptedPassword":"x","encryptType":"md5"}`,
			`{"\u0061ppName":"app2","appName":"app1","encryptedPassword":"x","encryptType":"md5"}`,
		} {
			wantRefused(t, raw(t, s.addr, request("POST", "/openApi/authApp", body, jsonLine)), 400)
		}
		wantRefused(t, raw(t, s.addr, request("POST", "/openApi/assert?appName=app1", "appName=app2&password=other", formLine)), 400)
		if n := server.Received("authApp") + server.Received("assert"); n != 0 {
			t.Errorf("%d of them reached the server", n)
		}
		if n := s.refusals(t, access.Unreadable); n != 4 {
			t.Errorf("%v refusals counted, want 4", n)
		}
	}
}

// Forty callers from an address that may not call announce large bodies, and send
// nothing. One who may call gets through.
func TestWhoMayNotCallUsesNoMemoryForBodies(t *testing.T) {
	server, url := startLegacy(t, legacy.Options{Apps: twoApps})
	settings := dedupSettings(t, url)
	settings.TrustedProxies = loopback
	settings.Access = access.Policy{Mode: access.Enforce, Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	s := newShim(t, settings)
	body := strings.Repeat("x", 1<<20)
	half := strings.TrimSuffix(request("POST", "/openApi/saveJob", body, jsonLine, "X-Forwarded-For: 192.0.2.1", openapi.AppIDHeader+": 1", openapi.TokenHeader+": t"), body[:1<<19])
	for range 40 {
		wantRefused(t, exchangeOnce(t, s.addr, half), 403)
	}
	if used := s.bodies.Used(); used != 0 {
		t.Errorf("%d bytes are held for them", used)
	}
	if n := s.refusals(t, access.Address); n != 40 {
		t.Errorf("%v refusals counted, want 40", n)
	}
	login := `{"appName":"app1","encryptedPassword":"` + legacy.HashPassword("pw") + `","encryptType":"md5"}`
	_, answer := parse(t, raw(t, s.addr, request("POST", "/openApi/authApp", login, jsonLine, "X-Forwarded-For: 10.1.2.3")))
	issued, ok := openapi.IssuedBy([]byte(answer))
	if !ok {
		t.Fatal(answer)
	}
	raw(t, s.addr, request("POST", "/openApi/saveJob", saveBody(0, "a"), append(asApp("1", issued.Token), jsonLine, "X-Forwarded-For: 10.1.2.3")...))
	wantExecuted(t, server, "saveJob", 1)
}
