package proxy

import (
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"powerjob-shim/internal/testca"
	"powerjob-shim/proxy/upstream/connect"
)

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestServersAreReachedOverTLS(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	ca, other := testca.New(t), testca.New(t)
	ca.WriteLeaf(t, in("server.crt"), in("server.key"), "powerjob.test")
	ca.WriteLeaf(t, in("client.crt"), in("client.key"), "the-shim")
	other.WriteLeaf(t, in("stranger.crt"), in("stranger.key"), "the-shim")
	write(t, in("ca.pem"), ca.PEM)
	write(t, in("other.pem"), other.PEM)

	pair, err := tls.LoadX509KeyPair(in("server.crt"), in("server.key"))
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan string, 10)
	up := newUnstartedUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Proto + " " + r.TLS.NegotiatedProtocol + " " + r.TLS.PeerCertificates[0].Subject.CommonName
		_, _ = io.WriteString(w, okBody)
	})
	up.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: ca.Pool(), ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12}
	up.EnableHTTP2 = true
	up.Config.ErrorLog = log.New(io.Discard, "", 0)
	up.StartTLS()

	right := connect.TLSFiles{CAFile: in("ca.pem"), ServerName: "powerjob.test", CertFile: in("client.crt"), KeyFile: in("client.key")}
	for _, c := range []struct {
		name   string
		change func(*connect.TLSFiles)
		want   int
		says   string
	}{
		{"all is right", func(*connect.TLSFiles) {}, 200, okBody},
		{"another CA", func(u *connect.TLSFiles) { u.CAFile = in("other.pem") }, 502, "its certificate is not trusted"},
		{"the system's roots", func(u *connect.TLSFiles) { u.CAFile = "" }, 502, "its certificate is not trusted"},
		{"another name", func(u *connect.TLSFiles) { u.ServerName = "" }, 502, "its certificate is not trusted"},
		{"no client certificate", func(u *connect.TLSFiles) { u.CertFile, u.KeyFile = "", "" }, 502, "127.0.0.1"},
		{"a stranger's certificate", func(u *connect.TLSFiles) { u.CertFile, u.KeyFile = in("stranger.crt"), in("stranger.key") }, 502, "127.0.0.1"},
	} {
		settings := answering(settingsFor(t, up.URL))
		u := settings.Upstreams["default"]
		u.TLS = right
		c.change(&u.TLS)
		settings.Upstreams["default"] = u
		s := newShim(t, settings)
		got := raw(t, s.addr, request("POST", "/openApi/saveJob", "{}"))
		if statusOf(got) != c.want || !strings.Contains(got, c.says) {
			t.Errorf("%s: the client got %q", c.name, got)
		}
		if c.want == 200 {
			if saw := <-seen; saw != "HTTP/1.1  the-shim" {
				t.Errorf("%s: the server saw %q", c.name, saw)
			}
		}
		select {
		case saw := <-seen:
			t.Errorf("%s: the server got a request from %q", c.name, saw)
		default:
		}
	}
}

func TestUnreadableTLSFilesStopTheStart(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	write(t, empty, []byte("nothing"))
	for _, c := range []struct {
		tls  connect.TLSFiles
		want string
	}{
		{connect.TLSFiles{CAFile: empty}, "upstreams.default: tls: " + empty + " has no certificate"},
		{connect.TLSFiles{CAFile: empty + ".none"}, "no such file"},
		{connect.TLSFiles{CertFile: empty, KeyFile: empty}, "failed to find any PEM data"},
	} {
		settings := settingsFor(t, "https://127.0.0.1:1")
		u := settings.Upstreams["default"]
		u.TLS = c.tls
		settings.Upstreams["default"] = u
		if _, err := New(Options{}, settings); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("New returned %v, want %q", err, c.want)
		}
	}
}
