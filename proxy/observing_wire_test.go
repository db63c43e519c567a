package proxy

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"powerjob-shim/internal/standin/legacy"
	"powerjob-shim/internal/tcpfaults"
	"powerjob-shim/internal/testca"
	"powerjob-shim/proxy/upstream/connect"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/openapi"
)

// What a server sends reaches the caller as far as it came, and breaks off there.
func TestInModeObserveABrokenOffAnswerBreaksOff(t *testing.T) {
	for name, answer := range map[string]string{
		"in a body of known length": "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{\"success\"",
		"in a chunk":                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\na\r\n{\"success\"\r\n",
	} {
		for _, call := range []string{"saveJob", "runJob", "fetchAllJob", "authApp", "runJob2", "somethingNew"} {
			t.Run(name+", "+call, func(t *testing.T) {
				var executed atomic.Int64
				addr := tcpfaults.Serve(t, func(c net.Conn) {
					defer func() { _ = c.Close() }()
					if req, err := readRaw(bufio.NewReader(c)); err == nil && strings.HasPrefix(req, "POST ") {
						executed.Add(1)
						_, _ = io.WriteString(c, answer)
					}
				})
				s := newShim(t, observing(dedupSettings(t, "http://"+addr)))
				message := request("POST", "/openApi/"+call, `{"jobId":1,"appId":1,"jobName":"a"}`, jsonLine)
				got := raw(t, s.addr, message)
				if want := headLines(answer); !slices.Equal(headLines(got, "x-request-id"), want) || bodyOf(got) != bodyOf(answer) {
					t.Errorf("the caller got\n%q, want\n%q", got, answer)
				}
				if n := executed.Load(); n != 1 {
					t.Errorf("executed %d times, want once", n)
				}
			})
		}
	}
}

// What was closed on purpose stays closed: auth.allow and auth.block.
func TestInModeObserveAllowAndBlockStayInForce(t *testing.T) {
	login := func(app, password string) string {
		return request("POST", "/openApi/authApp", fmt.Sprintf(`{"appName":%q,"encryptedPassword":%q,"encryptType":"md5"}`, app, legacy.HashPassword(password)), jsonLine)
	}
	save := request("POST", "/openApi/saveJob", saveBody(0, "a"), jsonLine, openapi.AppIDHeader+": 1")
	for name, c := range map[string]struct {
		change   func(*access.Policy)
		requests []string
		refused  bool
	}{
		"blocked":        {func(p *access.Policy) { p.Block = []string{"/openApi/saveJob", "/user/*"} }, []string{save, request("GET", "/user/list", "")}, true},
		"the address":    {func(p *access.Policy) { p.Addrs = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} }, []string{save, login("app1", "pw")}, true},
		"the app":        {func(p *access.Policy) { p.Apps = []string{"app2"} }, []string{login("app1", "pw")}, true},
		"the app's id":   {func(p *access.Policy) { p.Apps = []string{"2"} }, []string{save}, true},
		"allowed":        {func(p *access.Policy) { p.Addrs = loopback }, []string{save, login("app1", "pw")}, false},
		"a bad token":    {func(*access.Policy) {}, []string{request("POST", "/openApi/saveJob", saveBody(0, "a"), jsonLine, openapi.AppIDHeader+": 1", openapi.TokenHeader+": bogus")}, false},
		"an app's other": {func(*access.Policy) {}, []string{request("POST", "/openApi/saveJob", saveBody(0, "a"), jsonLine)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			server, url := startLegacy(t, legacy.Options{})
			settings := observing(dedupSettings(t, url))
			c.change(&settings.Access)
			s := newShim(t, settings)
			for _, message := range c.requests {
				got := raw(t, s.addr, message)
				if c.refused {
					wantRefused(t, got, http.StatusForbidden)
				} else if statusOf(got) != http.StatusOK || len(lines(got, openapi.AuthHeader)) > 0 {
					t.Errorf("the caller got %q", got)
				}
			}
			want := len(c.requests)
			if c.refused {
				want = 0
			}
			if n := server.Received(""); n != want {
				t.Errorf("the server got %d requests, want %d", n, want)
			}
		})
	}
}

// There may be rules for few paths, or for none. Then all is streamed.
func TestInModeObserveTheHeaderKeepsItsCaseOnWhateverPath(t *testing.T) {
	dir := t.TempDir()
	ca, crt, key := testca.New(t), filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key")
	ca.WriteLeaf(t, crt, key, "powerjob.test")
	write(t, filepath.Join(dir, "ca.pem"), ca.PEM)
	pair, err := tls.LoadX509KeyPair(crt, key)
	if err != nil {
		t.Fatal(err)
	}
	for _, secure := range []bool{false, true} {
		up := newUnstartedUpstream(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header()[r.Header.Get("Spell")] = []string{"true"} // as it is there
		})
		if up.Start(); secure {
			up = newUnstartedUpstream(t, up.Config.Handler.ServeHTTP)
			up.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
			up.StartTLS()
		}
		settings := settingsFor(t, up.URL)
		settings.Rules = compileRules(t)
		u := settings.Upstreams["default"]
		u.TLS = connect.TLSFiles{CAFile: filepath.Join(dir, "ca.pem"), ServerName: "powerjob.test"}
		settings.Upstreams["default"] = u
		s := newShim(t, observing(settings))
		for range 2 { // the second on the same connection
			for _, name := range []string{"X-POWERJOB-AUTH-PASSED", "x-powerjob-auth-passed", "X-Powerjob-Auth-Passed"} {
				for _, message := range []string{
					request("POST", "/job/save", saveBody(1, "a"), jsonLine, "Spell: "+name),
					request("GET", "/server/assert?appName=app1", "", "Spell: "+name),
				} {
					if got := raw(t, s.addr, message); !slices.Equal(lines(got, openapi.AuthHeader), []string{name + ": true"}) {
						t.Errorf("TLS %t: the caller got %q, want %s", secure, got, name)
					}
				}
			}
		}
	}
}
