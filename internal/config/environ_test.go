package config

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestEveryKindOfKeyCanBeSetInTheEnvironment(t *testing.T) {
	cfg := mustLoad(t, Source{Environ: []string{
		"POWERJOB_SHIM_UPSTREAMS__DEFAULT__SERVERS=http://a, http://b",
		"POWERJOB_SHIM_UPSTREAMS__DEFAULT__TIMEOUT=7s",
		"POWERJOB_SHIM_DEDUP__MAX_BODY=2MiB",
		"POWERJOB_SHIM_DEDUP__MAX_ENTRIES=17",
		"POWERJOB_SHIM_LOG__ACCESS=false",
		"POWERJOB_SHIM_LOG__LEVEL=debug",
		"POWERJOB_SHIM_TRUSTED_PROXIES=10.0.0.0/8,fd00::1",
		"POWERJOB_SHIM_SHUTDOWN__GRACE=0",
		"POWERJOB_SHIM_LOG__FORMAT=", // empty: not set
	}})
	u := cfg.Upstreams["default"]
	if !slices.Equal(u.Servers, []string{"http://a", "http://b"}) || u.Timeout != 7*time.Second || u.IdleTimeout != 15*time.Second {
		t.Errorf("upstream %+v", u)
	}
	if cfg.Dedup.MaxBody != 2<<20 || cfg.Dedup.MaxEntries != 17 {
		t.Errorf("dedup %+v", cfg.Dedup)
	}
	if want := (Log{Level: "debug", Format: "auto"}); cfg.Log != want {
		t.Errorf("log %+v, want %+v", cfg.Log, want)
	}
	if want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::1/128")}; !slices.Equal(cfg.TrustedProxies, want) {
		t.Errorf("trusted proxies %v, want %v", cfg.TrustedProxies, want)
	}
	if cfg.Shutdown.Grace != 0 {
		t.Errorf("grace %s", cfg.Shutdown.Grace)
	}
}

func TestEachFlagHasAVariable(t *testing.T) {
	file := writeFile(t, "dedup: {max_entries: 17}\n")
	cfg := mustLoad(t, Source{Environ: []string{
		"POWERJOB_SHIM_CONFIG=" + file,
		"POWERJOB_SHIM_LISTEN=127.0.0.1:1,127.0.0.1:2",
		"POWERJOB_SHIM_UPSTREAM=http://a,http://b",
		"POWERJOB_SHIM_ADMIN=127.0.0.1:3",
		"POWERJOB_SHIM_LOG_LEVEL=warn",
		"POWERJOB_SHIM_LOG_FORMAT=console",
	}})
	if cfg.Dedup.MaxEntries != 17 {
		t.Errorf("the file was not read: %+v", cfg.Dedup)
	}
	if want := listenersAt("127.0.0.1:1", "127.0.0.1:2"); !slices.Equal(cfg.Listen, want) {
		t.Errorf("listen %+v, want %+v", cfg.Listen, want)
	}
	if got := cfg.Upstreams["default"].Servers; !slices.Equal(got, []string{"http://a", "http://b"}) {
		t.Errorf("servers %v", got)
	}
	if cfg.Admin.Address != "127.0.0.1:3" || cfg.Log.Level != "warn" || cfg.Log.Format != "console" {
		t.Errorf("admin %+v, log %+v", cfg.Admin, cfg.Log)
	}
}

func TestAnUnknownVariableIsAnErrorWithItsName(t *testing.T) {
	for pair, want := range map[string]string{
		"POWERJOB_SHIM_LOG_LEVL=debug":           "POWERJOB_SHIM_LOG_LEVL: unknown variable; did you mean POWERJOB_SHIM_LOG_LEVEL?",
		"POWERJOB_SHIM_DEDUP_MAX_BODY=1MiB":      "POWERJOB_SHIM_DEDUP_MAX_BODY: unknown variable; did you mean POWERJOB_SHIM_DEDUP__MAX_BODY?",
		"POWERJOB_SHIM_DEDUP__MAX__BODY=1MiB":    "POWERJOB_SHIM_DEDUP__MAX__BODY: unknown variable; did you mean POWERJOB_SHIM_DEDUP__MAX_BODY?",
		"POWERJOB_SHIM_DEDUP__MAX_BODY=2":        `POWERJOB_SHIM_DEDUP__MAX_BODY: dedup.max_body: "2" has no unit; write 2KiB or 2MiB`,
		"POWERJOB_SHIM_LOG__ACCESS=1":            `POWERJOB_SHIM_LOG__ACCESS: log.access: must be true or false, not "1"`,
		"POWERJOB_SHIM_DEDUP__MAX_ENTRIES=1e3":   `POWERJOB_SHIM_DEDUP__MAX_ENTRIES: dedup.max_entries: must be a whole number, not "1e3"`,
		"POWERJOB_SHIM_TRUSTED_PROXIES=10.0.0.0": "", // a single address
		"POWERJOB_SHIM_TRUSTED_PROXIES=::/0,x":   `POWERJOB_SHIM_TRUSTED_PROXIES: trusted_proxies[1]: "x" is not an address range; write for example 10.0.0.0/8`,
		"POWERJOB_SHIM_RULES=[]":                 "POWERJOB_SHIM_RULES: is a block of keys, which a variable cannot hold; write it in the file, or set one variable for each of its plain keys",
		"POWERJOB_SHIM_LISTEN__0__ADDRESS=:1":    "POWERJOB_SHIM_LISTEN__0__ADDRESS: unknown variable; keys are written like POWERJOB_SHIM_DEDUP__MAX_BODY, with __ between the levels",
		"POWERJOB_SHIM_UPSTREAMS__A.B__TIMEOUT=1s": "POWERJOB_SHIM_UPSTREAMS__A.B__TIMEOUT: unknown variable; " +
			"keys are written like POWERJOB_SHIM_DEDUP__MAX_BODY, with __ between the levels",
		"POWERJOB_SHIM_LOG__LEVEL=\xff":                     "POWERJOB_SHIM_LOG__LEVEL: is not UTF-8; write it anew",
		"POWERJOB_SHIM_=x":                                  "POWERJOB_SHIM_: unknown variable; keys are written like POWERJOB_SHIM_DEDUP__MAX_BODY, with __ between the levels",
		"POWERJOB_SHIM_UPSTREAMS__DEFAULT__TIMEOUT__X=1":    "POWERJOB_SHIM_UPSTREAMS__DEFAULT__TIMEOUT__X: unknown variable; did you mean POWERJOB_SHIM_UPSTREAMS__DEFAULT__TIMEOUT?",
		"POWERJOB_SHIM_UPSTREAMS__DEFAULT__OPENAPI_PREFX=x": "POWERJOB_SHIM_UPSTREAMS__DEFAULT__OPENAPI_PREFX: unknown variable; did you mean POWERJOB_SHIM_UPSTREAMS__DEFAULT__OPENAPI_PREFIX?",
	} {
		_, err := Load(Source{File: writeFile(t, oneServer), Environ: []string{pair}})
		if got := errorText(err); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", pair, got, want)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestTwoVariablesForOneKeyAreAnError(t *testing.T) {
	_, err := Load(Source{File: writeFile(t, oneServer), Environ: []string{"POWERJOB_SHIM_LOG_LEVEL=warn", "POWERJOB_SHIM_LOG__LEVEL=info"}})
	if want := "POWERJOB_SHIM_LOG__LEVEL: log.level: is set by POWERJOB_SHIM_LOG_LEVEL too; keep one of the two"; errorText(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// A real cluster sets these variables for Services called powerjob-shim and
// powerjob-shim-admin.
func TestVariablesMadeByKubernetesAreNotOurs(t *testing.T) {
	made := []string{
		"POWERJOB_SHIM_SERVICE_HOST=10.96.0.7", "POWERJOB_SHIM_SERVICE_PORT=7700", "POWERJOB_SHIM_SERVICE_PORT_HTTP=7700",
		"POWERJOB_SHIM_PORT=tcp://10.96.0.7:7700", "POWERJOB_SHIM_PORT_7700_TCP=tcp://10.96.0.7:7700",
		"POWERJOB_SHIM_PORT_7700_TCP_PROTO=tcp", "POWERJOB_SHIM_PORT_7700_TCP_PORT=7700", "POWERJOB_SHIM_PORT_7700_TCP_ADDR=10.96.0.7",
		"POWERJOB_SHIM_ADMIN_SERVICE_HOST=10.96.0.8", "POWERJOB_SHIM_ADMIN_PORT=tcp://10.96.0.8:9700",
		"POWERJOB_SHIM_ADMIN_PORT_9700_TCP_ADDR=10.96.0.8",
	}
	mustLoad(t, Source{File: writeFile(t, oneServer), Environ: made})

	_, err := Load(Source{File: writeFile(t, oneServer), Environ: []string{"POWERJOB_SHIM_PORT=7700"}})
	if err == nil || !strings.HasPrefix(err.Error(), "POWERJOB_SHIM_PORT: unknown variable") {
		t.Errorf("got %v, want an unknown variable", err)
	}
}
