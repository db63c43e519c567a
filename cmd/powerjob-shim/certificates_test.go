package main

import (
	"crypto/tls"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"powerjob-shim/internal/standin/legacy"
)

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
	p := launch(t, nil, "run", "--config", file, "--admin", "127.0.0.1:0").Started(t)
	plain, https := p.Listeners[0], p.Listeners[1]

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
	if _, metrics := get(t, "http://"+p.Admin+"/metrics"); !strings.Contains(metrics, `powerjob_shim_certificate_expiry_timestamp_seconds{name="a.test"} 1.`) {
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
