package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSecretsComeFromFilesAndVariablesWithoutTheirNewline(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"password": " pass word \r\n", "secret": strings.Repeat("s", 32) + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	cfg := loadText(t, `
upstreams:
  default:
    servers: ["http://127.0.0.1:7701"]
    login_bridge:
      apps: [{name: a, password_file: password}, {name: b, password_env: B}, {name: c, password: inline}]
      secret_file: secret
dedup: {redis: {password_env: POWERJOB_SHIM_REDIS_PASSWORD, key_secret_env: KEY}}
`, []string{"B=from-env", "POWERJOB_SHIM_REDIS_PASSWORD=redis\n", "KEY=" + strings.Repeat("k", 40), "B=the last one counts"})
	bridge := cfg.Upstreams["default"].LoginBridge
	for i, want := range []Secret{" pass word ", "the last one counts", "inline"} {
		if got := bridge.Apps[i].Password; got != want {
			t.Errorf("app %d has %q, want %q", i, string(got), string(want))
		}
	}
	if got := bridge.Secret; string(got) != strings.Repeat("s", 32) {
		t.Errorf("secret %q", string(got))
	}
	if got := cfg.Dedup.Redis.Password; got != "redis" {
		t.Errorf("redis password %q", string(got))
	}
	if got := cfg.Dedup.Redis.KeySecret; len(got) != 40 {
		t.Errorf("key secret %q", string(got))
	}
}

func TestABridgeWithoutSecretHasNone(t *testing.T) {
	cfg := loadText(t, `upstreams: {a: {servers: ["http://a"], login_bridge: {apps: [{name: a, password: b}]}}}`, nil)
	if got := cfg.Upstreams["a"].LoginBridge.Secret; got != "" {
		t.Errorf("secret %q", string(got))
	}
}
