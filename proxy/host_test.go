package proxy

import (
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"powerjob-shim/internal/testca"
	up "powerjob-shim/proxy/upstream"
	"powerjob-shim/proxy/upstream/connect"
	"powerjob-shim/rules/access"
)

// hosted has the settings' only group called by host.
func hosted(s Settings, host string) Settings {
	u := s.Upstreams["default"]
	u.Host = host
	s.Upstreams = map[string]Upstream{"default": u}
	return s
}

// Every way to a server: streamed, held, a login, and a target that only an
// absolute-form can carry.
func TestTheServerGetsTheHostThatIsSet(t *testing.T) {
	for _, c := range []struct{ host, want string }{
		{"", "shim.test"}, {up.HostKeep, "shim.test"}, {up.HostUpstream, "URL"},
		{"powerjob.test", "powerjob.test"}, {"powerjob.test:8080", "powerjob.test:8080"},
	} {
		up := newRawServer(t, answerWith())
		want := strings.Replace(c.want, "URL", strings.TrimPrefix(up.url, "http://"), 1)
		s := newShim(t, hosted(dedupSettings(t, up.url), c.host))
		for _, target := range []string{"/ui", "/openApi/saveJob", "/openApi/authApp", `//a"b`} {
			raw(t, s.addr, request("POST", target, "{}"))
			got := up.requests()[len(up.requests())-1]
			if lines := lines(got, "Host"); !slices.Equal(lines, []string{"Host: " + want}) {
				t.Errorf("host %q: %s came with %q, want %q", c.host, target, lines, want)
			}
			if lines := lines(got, headerForwardedHost); !slices.Equal(lines, []string{headerForwardedHost + ": shim.test"}) {
				t.Errorf("host %q: %s came with %q", c.host, target, lines)
			}
			if target[1] == '/' && !strings.HasPrefix(got, "POST http://"+want+target+" HTTP/1.1\r\n") {
				t.Errorf("host %q: the server got %q", c.host, got)
			}
		}
	}
}

func TestEachServerGetsItsOwnHost(t *testing.T) {
	first, second := newRawServer(t, "Connection: close"), newRawServer(t, answerWith()) // the first breaks off
	s := newShim(t, hosted(settingsFor(t, first.url, second.url), up.HostUpstream))
	for len(first.requests()) == 0 {
		raw(t, s.addr, request("POST", "/openApi/fetchAllJob", "appId=1"))
	}
	for _, up := range []*rawServer{first, second} {
		for _, got := range up.requests() {
			if want := "Host: " + strings.TrimPrefix(up.url, "http://"); !slices.Equal(lines(got, "Host"), []string{want}) {
				t.Errorf("the server got %q, want %q", got, want)
			}
		}
	}
}

func TestChecksAndTheBridgeCallByTheHostThatIsSet(t *testing.T) {
	up := newRawServer(t, answerWith())
	settings := hosted(checked(t, false, up.url), "powerjob.test")
	u := settings.Upstreams["default"]
	u.Bridge = &access.IssuerSettings{Apps: map[string]string{"app1": "pw"}}
	settings.Upstreams["default"] = u
	s := newShim(t, settings)
	eventually(t, "a check", func() bool { return len(up.requests()) > 0 })
	raw(t, s.addr, request("POST", "/openApi/authApp",
		`{"appName":"app1","encryptedPassword":"8fe4c11451281c094a6578e6ddbf5eed","encryptType":"md5"}`))
	bridged := 0
	for _, got := range up.requests() {
		if strings.Contains(got, "appName=app1") {
			bridged++
		}
		if !slices.Equal(lines(got, "Host"), []string{"Host: powerjob.test"}) {
			t.Errorf("the server got %q", got)
		}
	}
	if bridged == 0 {
		t.Errorf("the bridge did not ask: %q", up.requests())
	}
}

func TestAServerIsAskedForTheNameThatIsSet(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.pem")
	ca := testca.New(t)
	write(t, file, ca.PEM)
	ca.WriteLeaf(t, file+".crt", file+".key", "powerjob.test", "other.test", "localhost")
	pair, err := tls.LoadX509KeyPair(file+".crt", file+".key")
	if err != nil {
		t.Fatal(err)
	}
	names := make(chan string, 1)
	server := newUnstartedUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		names <- r.TLS.ServerName
		_, _ = io.WriteString(w, okBody)
	})
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	local := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	for _, c := range []struct{ host, serverName, want string }{
		{up.HostKeep, "", "localhost"},
		{up.HostUpstream, "", "localhost"},
		{"powerjob.test:8443", "", "powerjob.test"},
		{"powerjob.test", "other.test", "other.test"},
	} {
		settings := hosted(settingsFor(t, local), c.host)
		u := settings.Upstreams["default"]
		u.TLS = connect.TLSFiles{CAFile: file, ServerName: c.serverName}
		settings.Upstreams["default"] = u
		s := newShim(t, settings)
		if got := raw(t, s.addr, request("GET", "/", "")); statusOf(got) != 200 {
			t.Errorf("%+v: the client got %q", c, got)
			continue
		}
		select {
		case got := <-names:
			if got != c.want {
				t.Errorf("%+v: the server was asked for %q", c, got)
			}
		case <-time.After(patience):
			t.Errorf("%+v: the server was not asked", c)
		}
	}
}
