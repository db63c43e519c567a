package main

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"powerjob-shim/internal/standin/legacy"
)

// The file of an app's password changes, like a rotated secret. Nobody changes the
// configuration or sends a signal.
func TestARotatedPasswordFileOfTheBridgeCounts(t *testing.T) {
	server := legacy.New(legacy.Options{Mode: legacy.NoAuthApp, Apps: []legacy.App{{ID: 1, Name: "app1", Password: "new"}}})
	url, err := server.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	dir := t.TempDir()
	password, config := filepath.Join(dir, "password"), filepath.Join(dir, "config.yaml")
	writeFile(t, password, "old\n")
	writeFile(t, config, fmt.Sprintf("upstreams: {default: {servers: [%q], login_bridge: {apps: [{name: app1, password_file: %s}]}}}\n", url, password))
	p := start(t, nil, "--config", config)

	logIn := func() string {
		sum := md5.Sum([]byte("new"))
		body := fmt.Sprintf(`{"appName":"app1","encryptedPassword":%q,"encryptType":"md5"}`, hex.EncodeToString(sum[:]))
		res, err := http.Post("http://"+p.Listen+"/openApi/authApp", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		answer, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(answer)
	}
	if answer := logIn(); !strings.Contains(answer, `"success":false`) {
		t.Errorf("before: %s", answer)
	}
	writeFile(t, password, "new\n")
	p.WaitFor(t, "configuration loaded")
	if answer := logIn(); !strings.Contains(answer, `"success":true`) {
		t.Errorf("after: %s", answer)
	}
	if log := p.Log(); strings.Contains(log, "until a restart") {
		t.Errorf("the log asks for a restart:\n%s", log)
	}
}
