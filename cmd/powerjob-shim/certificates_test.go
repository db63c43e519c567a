package main

import (
	"crypto/tls"
	"io"
	"net/http"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"powerjob-shim/configs"
	"powerjob-shim/internal/legacy"
	"powerjob-shim/proxy/certs"
)

func TestATLSBlockBecomesWhatCertificatesAreMadeFrom(t *testing.T) {
	acme := configs.TLS{
		Mode: configs.TLSACME, Domains: []string{"a.test"}, Email: "me@a.test", CA: "https://ca.test/dir", CARoot: "root.pem", Profile: "shortlived",
		Storage: "dir", Challenges: []string{"http-01", "tls-alpn-01"}, MinVersion: "1.2",
	}
	want := certs.ACME{
		Domains: acme.Domains, Email: acme.Email, CA: acme.CA, CARoot: acme.CARoot, Profile: acme.Profile, Storage: "dir", HTTP01: true, TLSALPN01: true,
	}
	for _, c := range []struct {
		name       string
		challenges []string
		plain      bool
		http, alpn bool
	}{
		{"both", []string{"http-01", "tls-alpn-01"}, true, true, true},
		{"both, without a plain listener", []string{"http-01", "tls-alpn-01"}, false, false, true},
		{"http-01", []string{"http-01"}, true, true, false},
		{"http-01, without a plain listener", []string{"http-01"}, false, true, false},
		{"tls-alpn-01", []string{"tls-alpn-01"}, true, false, true},
	} {
		acme.Challenges, want.HTTP01, want.TLSALPN01 = c.challenges, c.http, c.alpn
		if got := certsFrom(&acme, c.plain); !reflect.DeepEqual(got, certs.Settings{ACME: &want}) {
			t.Errorf("%s: got %+v", c.name, got.ACME)
		}
	}
	files := configs.TLS{Mode: configs.TLSFiles, Files: []configs.KeyPair{{Cert: "c", Key: "k"}}, ClientCA: "ca", MinVersion: "1.3"}
	if got := certsFrom(&files, true); !reflect.DeepEqual(got, certs.Settings{Files: []certs.KeyPair{{Cert: "c", Key: "k"}}, ClientCA: "ca", MinVersion: tls.VersionTLS13}) {
		t.Errorf("files: got %+v", got)
	}
	own := configs.TLS{Mode: configs.TLSSelfSigned, Names: []string{"a.test"}, Storage: "dir"}
	if got := certsFrom(&own, true); !reflect.DeepEqual(got, certs.Settings{SelfSigned: &certs.SelfSigned{Names: []string{"a.test"}, Storage: "dir"}}) {
		t.Errorf("self-signed: got %+v", got)
	}
}

func TestRunServesHTTPSAndRedirectsToIt(t *testing.T) {
	server := legacy.New(legacy.Options{})
	upstream, err := server.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	dir := t.TempDir()
	file := writeFile(t, filepath.Join(dir, "c.yaml"), `
listen:
  - {address: "127.0.0.1:0", redirect: {port: 7443}}
  - {address: "127.0.0.1:0", tls: {mode: self-signed, names: [a.test], storage: "`+dir+`"}}
upstreams: {default: {servers: ["`+upstream+`"]}}
`)
	p := launch(t, nil, "run", "--config", file, "--admin", "127.0.0.1:0")
	line := p.waitFor(t, "started")
	plain, https := line["listen"].([]any)[0].(string), line["listen"].([]any)[1].(string)

	client := &http.Client{
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	defer client.CloseIdleConnections()
	for address, want := range map[string]bool{"https://" + https: false, "http://" + plain + "/openApi/": false, "http://" + plain: true} {
		res, err := client.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if got := res.StatusCode == http.StatusPermanentRedirect; got != want {
			t.Errorf("%s: %d", address, res.StatusCode)
		}
		if location := res.Header.Get("Location"); want && location != "https://127.0.0.1:7443/" {
			t.Errorf("redirected to %q", location)
		}
	}
	if _, metrics := get(t, "http://"+line["admin"].(string)+"/metrics"); !strings.Contains(metrics, `powerjob_shim_certificate_expiry_timestamp_seconds{name="a.test"} 1.`) {
		t.Errorf("no expiry in the metrics:\n%s", metrics)
	}
}

func TestRunTellsWhichListenersCertificateIsBad(t *testing.T) {
	dir := t.TempDir()
	bad := writeFile(t, filepath.Join(dir, "bad.pem"), "nothing")
	file := writeFile(t, filepath.Join(dir, "c.yaml"), `
listen:
  - {address: "127.0.0.1:0"}
  - {address: "127.0.0.1:0", tls: {mode: files, files: [{cert: "`+bad+`", key: "`+bad+`"}]}}
upstreams: {default: {servers: ["http://127.0.0.1:1"]}}
`)
	code, _, stderr := execute(nil, "run", "--config", file)
	if code != 1 || !strings.Contains(stderr, "listen[1].tls: loading certificates: "+bad) {
		t.Errorf("%d, %s", code, stderr)
	}
}
