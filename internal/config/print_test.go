package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// everything uses every key that the configuration has.
const everything = `
mode: observe
listen:
  - {address: ":7700", redirect: {openapi: true, port: 8443}, max_connections: 5, header_timeout: 1s, body_timeout: 2s, min_body_rate: 1KiB/s, stall_timeout: 4s, idle_timeout: 3s, proxy_protocol: accept}
  - address: ":7443"
    tls: {mode: acme, domains: [a.example.com], email: ops@example.com, ca: "https://ca.example.com/dir", ca_root: KEY, challenges: [http-01], storage: /s, profile: shortlived, client_ca: KEY, min_version: "1.3"}
  - {address: ":7444", tls: {mode: files, files: [{cert: KEY, key: KEY}]}}
  - {address: ":7445", tls: {mode: self-signed, names: [a, "::1"]}}
admin: {address: ":9700", token_file: KEY, pprof: true, ready: all}
upstreams:
  a:
    servers: ["https://a:7700", "http://b"]
    host: pj.example.com:8080
    unreachable: error
    compat: {run_job2: lossy}
    timeout: 1m30s
    stream_timeout: 20m
    idle_timeout: 1h
    openapi_prefix: /x/openApi
    max_connections: 10
    max_requests: 20
    tls: {pin_sha256: [AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=], ca_file: KEY, server_name: a, cert_file: KEY, key_file: KEY}
    health: {active: {check: tcp, interval: 1s, unhealthy: 1, healthy: 1}, passive: {failures: 1, eject: 1s, max_eject: 2s}}
    login_bridge:
      apps: [{name: app1, password_file: KEY}, {name: app2, password_env: PASSWORD}]
      secret_env: POWERJOB_SHIM_BRIDGE_SECRET
      token_ttl: 24h
  b: {servers: ["http://c"], health: {active: {}, passive: {}}, login_bridge: {apps: [{name: app1, password_env: PASSWORD}], secret_file: KEY}}
routes:
  - {name: a, hosts: [a.example.com, "*.example.org", "[::1]"], paths: [/x/*, /y], upstream: a, strip_prefix: /x, add_prefix: /z}
  - {name: b, upstream: b}
rules:
  - {name: one, method: [POST, PUT], hosts: [a], paths: [/openApi/*], header: {name: X-Only-Case}}
  - {name: two, paths: ["/"], header: {name: X-Off, value: "off"}, dedup: {match: resend, window: 1m, mode: observe}}
dedup:
  mode: observe
  store: redis
  max_entries: 5
  max_bytes: 1GiB
  max_body: 1000B
  max_answer: 1536KiB
  max_held_answers: 7MiB
  redis: {addresses: ["a:1", "b:2"], master_name: m, username: u, password_file: KEY, sentinel_username: s, sentinel_password_file: KEY, tls: {}, key_prefix: "p:", key_secret_file: KEY, timeout: 1s}
auth:
  mode: enforce
  token_ttl: 1h
  legacy_clients: {allow: [10.0.0.0/8], apps: [old]}
  allow: {cidrs: ["::/0"], apps: [app1]}
  block: [/user/list]
trusted_proxies: [10.1.2.3]
log: {level: error, format: console, access: false}
shutdown: {grace: 0, delay: 1ms}
`

// keysOf collects the keys of a type in the configuration.
func keysOf(of reflect.Type, keys map[string]bool) {
	switch of.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		keysOf(of.Elem(), keys)
	case reflect.Struct:
		for i := range of.NumField() {
			key, _, _ := strings.Cut(of.Field(i).Tag.Get("yaml"), ",")
			if key == "" || key == "-" {
				continue
			}
			keys[key] = true
			keysOf(of.Field(i).Type, keys)
		}
	}
}

func TestEverythingUsesEveryKey(t *testing.T) {
	keys := map[string]bool{}
	keysOf(reflect.TypeFor[Config](), keys)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		switch {
		case strings.Contains(key, "password"): // printed as ***, which Load refuses
		case key == "cluster", key == "key_secret_env": // not allowed beside other keys here
		case !regexp.MustCompile(`(?m)(^|[ {])` + key + `:`).MatchString(everything):
			t.Errorf("%s is not used", key)
		}
	}
}

// loadText is load for a text without problems.
func loadText(t *testing.T, content string, environ []string) *Config {
	t.Helper()
	r := new(report)
	cfg := load("config.yaml", []byte(content), Source{Environ: environ}, r)
	for _, p := range r.problems {
		t.Errorf("%v", p)
	}
	return cfg
}

func TestAPrintedConfigurationLoadsToTheSame(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(strings.Repeat("k", 32)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	secrets := []string{"PASSWORD=hunter2", "POWERJOB_SHIM_BRIDGE_SECRET=" + strings.Repeat("s", 32)}
	for name, content := range map[string]string{
		"everything": strings.ReplaceAll(everything, "KEY", key),
		"defaults":   oneServer,
		"example":    readString(t, "../../configs/examples/own-rules.yaml"),
	} {
		t.Run(name, func(t *testing.T) {
			var environ []string
			if name == "everything" {
				environ = secrets
			}
			first := loadText(t, content, environ)
			text, err := first.YAML()
			if err != nil {
				t.Fatal(err)
			}
			second := loadText(t, string(text), environ)
			again, err := second.YAML()
			if err != nil {
				t.Fatal(err)
			}
			if string(again) != string(text) {
				t.Errorf("printed again:\n%s\nfirst:\n%s", again, text)
			}
			if first.Hash() != second.Hash() || !first.Equal(second) {
				t.Errorf("hash %s and %s, equal %t\n%+v\n%+v", first.Hash(), second.Hash(), first.Equal(second), first, second)
			}
			if strings.Contains(string(text), "hunter2") || strings.Contains(string(text), "kkkk") {
				t.Errorf("a secret is shown:\n%s", text)
			}
		})
	}
}

func readString(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestInlineSecretsAreHiddenAndSuchAPrintIsRefused(t *testing.T) {
	content := oneServer + "dedup: {redis: {addresses: [\"r:1\"], password: hunter2}}\n"
	cfg := mustLoad(t, Source{File: writeFile(t, content)})
	if cfg.Dedup.Redis.Password != "hunter2" {
		t.Errorf("password %q", string(cfg.Dedup.Redis.Password))
	}
	text, err := cfg.YAML()
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{string(text), string(asJSON), fmt.Sprintf("%v %+v %#v %s", cfg, cfg, cfg, cfg.Dedup.Redis.Password)} {
		if strings.Contains(shown, "hunter2") || !strings.Contains(shown, "***") {
			t.Errorf("shown as %s", shown)
		}
	}
	if _, err := Load(Source{File: writeFile(t, string(text))}); err == nil || !strings.Contains(err.Error(), "was hidden when the configuration was printed") {
		t.Errorf("loading it gave %v", err)
	}
}

// sigs.k8s.io/yaml, which Helm uses, is such a reader.
func TestOffIsPrintedSoThatAYAML11ReaderSeesText(t *testing.T) {
	text, err := mustLoad(t, Source{File: writeFile(t, oneServer)}).YAML()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "mode: \"off\"\n") {
		t.Errorf("printed:\n%s", text)
	}
}

func TestHashAndEqualTellConfigurationsApart(t *testing.T) {
	load := func(content string) *Config { return mustLoad(t, Source{File: writeFile(t, oneServer+content)}) }
	base := load("")
	if same := load("# a comment\nlog: {level: info}\n"); same.Hash() != base.Hash() || !same.Equal(base) {
		t.Errorf("the same configuration has the hashes %s and %s", same.Hash(), base.Hash())
	}
	if len(base.Hash()) != 16 {
		t.Errorf("hash %q", base.Hash())
	}
	if other := load("log: {level: warn}\n"); other.Hash() == base.Hash() || other.Equal(base) {
		t.Error("another level has the same hash")
	}
	one, two := load("dedup: {redis: {password: a}}\n"), load("dedup: {redis: {password: b}}\n")
	if one.Hash() != two.Hash() {
		t.Error("the hash, which is public, depends on a password")
	}
	if one.Equal(two) {
		t.Error("another password counts as equal")
	}
}

func TestSizesAndDurationsArePrintedAsTheyAreWritten(t *testing.T) {
	for text, want := range map[string]Size{"0": 0, "1B": 1, "1000B": 1000, "1KiB": 1024, "1536KiB": 1536 << 10, "3MiB": 3 << 20, "2GiB": 2 << 30, "-1KiB": -1024} {
		if got, err := parseSize(text); got != want || err != nil || got.String() != text {
			t.Errorf("%s: %d, %v, printed %s", text, got, err, got)
		}
	}
	for _, text := range []string{"", "B", "1", "1.5MiB", "1 MiB", "1mib", "1TiB", "9999999999GiB", "99999999999999999999B"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("%q is the size %d", text, got)
		}
	}
	for text, want := range map[string]time.Duration{"0s": 0, "20s": 20 * time.Second, "10m": 10 * time.Minute, "168h": 168 * time.Hour,
		"1h30m": 90 * time.Minute, "1m30s": 90 * time.Second, "1h0m5s": time.Hour + 5*time.Second, "200ms": 200 * time.Millisecond} {
		if got, err := parseDuration(text); got != want || err != nil || formatDuration(got) != text {
			t.Errorf("%s: %s, %v, printed %s", text, got, err, formatDuration(got))
		}
	}
}
