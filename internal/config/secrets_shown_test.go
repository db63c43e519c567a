package config

import (
	"errors"
	"strings"
	"testing"
)

// If a password is written in a wrong place, no error shows it, nor does check --print.
func TestNoProblemShowsASecret(t *testing.T) {
	const secret = "hunter2"
	group := func(rest string) string { return "upstreams: {default: {servers: [\"http://a\"]" + rest + "}}\n" }
	redis := func(rest string) string { return group("") + "dedup: {store: redis, redis: " + rest + "}\n" }
	for name, content := range map[string]string{
		"a server's URL":             `upstreams: {default: {servers: ["http://u:hunter2@a"]}}`,
		"a malformed server's URL":   `upstreams: {default: {servers: ["http://u:hunter2@[a"]}}`,
		"another scheme":             `upstreams: {default: {servers: ["redis://u:hunter2@a"]}}`,
		"a password with a space":    `upstreams: {default: {servers: ["http://u:hunter2 hunter2@a"]}}`,
		"servers that are no list":   `upstreams: {default: {servers: "http://u:hunter2@a"}}`,
		"a listener":                 group("") + `listen: [{address: "http://u:hunter2@:7700"}]`,
		"listeners that are no list": group("") + `listen: "http://u:hunter2@:7700"`,
		"the admin listener":         group("") + `admin: {address: "http://u:hunter2@a:1"}`,
		"the ACME server":            group("") + `listen: [{address: ":1", tls: {mode: acme, domains: [a.example.com], ca: "https://u:hunter2@ca.example.com/dir"}}]`,
		"a trusted proxy":            group("") + `trusted_proxies: ["http://u:hunter2@a"]`,
		"a Redis URL":                redis(`{addresses: ["redis://u:hunter2@a:6379"]}`),
		"a Redis URL, no user":       redis(`{addresses: ["redis://hunter2@a:6379"]}`),
		"user and password alone":    redis(`{addresses: ["u:hunter2@a:6379"]}`),
		"an URL that is no list":     redis(`{addresses: "redis://u:hunter2@a"}`),
		"a password as addresses":    redis(`{addresses: hunter2}`),
		"a password as Redis":        redis(`hunter2`),
		"a password as TLS":          redis(`{addresses: ["a:1"], tls: hunter2}`),
		"a list as password":         redis(`{addresses: ["a:1"], password: [hunter2]}`),
		"a mapping as password":      redis(`{addresses: ["a:1"], password: {hunter2: hunter2}}`),
		"two passwords":              redis(`{addresses: ["a:1"], password: hunter2, password_env: hunter}`),
		"a misspelt password":        redis(`{addresses: ["a:1"], pasword: hunter2}`),
		"an unknown key":             redis(`{addresses: ["a:1"], secret: hunter2}`),
		"a key_secret in the file":   redis(`{addresses: ["a:1"], key_secret: hunter2}`),
		"a tagged password":          redis(`{addresses: ["a:1"], password: !!binary hunter2}`),
		"apps that are no list":      group(`, login_bridge: {apps: hunter2}`),
		"apps that are a mapping":    group(`, login_bridge: {apps: {name: a, password: hunter2}}`),
		"an app that is a password":  group(`, login_bridge: {apps: [hunter2]}`),
		"an app that is a list":      group(`, login_bridge: {apps: [[a, hunter2]]}`),
		"an app's list of passwords": group(`, login_bridge: {apps: [{name: a, password: [hunter2]}]}`),
		"a bridge that is a secret":  group(`, login_bridge: hunter2`),
		"text behind a password":     group("") + "dedup:\n  redis:\n    password: hunter2: hunter2\n",
		"an open quote":              group("") + "dedup:\n  redis:\n    password: \"hunter2\n",
	} {
		_, err := Load(Source{File: writeFile(t, content)})
		if err == nil {
			t.Errorf("%s: there is no problem", name)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
	number := redis(`{addresses: ["a:1"], username: 4711, password_file: 4712}`)
	if _, err := Load(Source{File: writeFile(t, number)}); err == nil || strings.Contains(err.Error(), "471") {
		t.Errorf("numbers: %v", err)
	}
	_, err := Load(Source{Environ: []string{
		"POWERJOB_SHIM_UPSTREAM=http://u:hunter2@a", "POWERJOB_SHIM_DEDUP__REDIS__ADDRESSES=redis://u:hunter2@a", "POWERJOB_SHIM_TRUSTED_PROXIES=redis://u:hunter2@a",
	}})
	if err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("in the environment: %v", err)
	}
	var first *Problem
	if !errors.As(err, &first) || first.Message == "" {
		t.Errorf("the problem is %+v", first)
	}
	cfg, err := Load(Source{File: writeFile(t, redis(`{addresses: ["a:1"], password: hunter2, sentinel_password: hunter2, master_name: m}`))})
	if err != nil {
		t.Fatal(err)
	}
	if text, err := cfg.YAML(); err != nil || strings.Contains(string(text), secret) {
		t.Errorf("printed: %v\n%s", err, text)
	}
}
