package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"powerjob-shim/internal/redistest"
	"powerjob-shim/internal/standin/legacy"
)

// Two shims whose configuration has everything that a guarded Redis asks for: its
// authority, a client certificate, a user, a password in a file.
func TestRunSharesARedisBehindTLSAndAUser(t *testing.T) {
	redis, authority := redistest.StartTLS(t)
	for _, command := range [][]any{
		{"ACL", "SETUSER", "shim", "on", ">secret", "~powerjob-shim:*", "-@all", "+eval", "+evalsha", "+xadd", "+xrange", "+pexpire", "+del",
			"+time", "+get", "+set", "+ping", "+hello", "+auth"},
		{"ACL", "SETUSER", "default", "off"},
	} {
		if _, err := redis.Do(command...); err != nil {
			t.Fatal(err)
		}
	}
	server := legacy.New(legacy.Options{Mode: legacy.Legacy})
	upstream, err := server.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	dir := t.TempDir()
	config := func(password string) string {
		return writeFile(t, filepath.Join(dir, password+".yaml"), fmt.Sprintf(`
dedup:
  store: redis
  redis:
    addresses: [%q]
    username: shim
    password_file: %s
    timeout: 1s
    tls: {ca_file: %s, cert_file: %s, key_file: %s, server_name: localhost}
`, redis.Addr, writeFile(t, filepath.Join(dir, password), password+"\n"), authority.CAFile, authority.CertFile, authority.KeyFile))
	}

	one, two := start(t, nil, "--upstream", upstream, "--config", config("secret")), start(t, nil, "--upstream", upstream, "--config", config("secret"))
	if a, b := saveOne(t, one), saveOne(t, two); a != "forwarded" || b != "replayed" {
		t.Errorf("the first shim %s, the second %s", a, b)
	}
	if n := len(server.Executions()); n != 1 {
		t.Errorf("executed %d times", n)
	}

	// With a wrong password calls go on, and the operator reads why.
	alone := start(t, nil, "--upstream", upstream, "--config", config("wrong"))
	if a, b := saveOne(t, alone), saveOne(t, alone); a != "forwarded" || b != "replayed" {
		t.Errorf("alone: %s, then %s", a, b)
	}
	for _, path := range []string{"/readyz", "/status"} {
		if code, body := get(t, "http://"+alone.Admin+path); code != http.StatusOK || !strings.Contains(body, "WRONGPASS") {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
}
