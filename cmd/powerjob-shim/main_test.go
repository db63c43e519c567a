package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"

	"powerjob-shim/internal/config"
	"powerjob-shim/internal/wire"
)

// execute runs a command line in this process.
func execute(environ []string, args ...string) (code int, stdout, stderr string) {
	var out, errs strings.Builder
	code = run(args, environ, &out, &errs)
	return code, out.String(), errs.String()
}

func TestHelpAndVersionReturnZero(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "Available Commands:"},
		{[]string{"--help"}, "Available Commands:"},
		{[]string{"run", "--help"}, "--upstream URL"},
		{[]string{"version"}, "powerjob-shim "},
		{[]string{"--version"}, "powerjob-shim "},
	} {
		if code, stdout, stderr := execute(nil, c.args...); code != 0 || !strings.Contains(stdout, c.want) || stderr != "" {
			t.Errorf("%v: %d, %q, %q", c.args, code, stdout, stderr)
		}
	}
}

func TestVersionTellsWhatTheLinkerSet(t *testing.T) {
	defer func(v, r string) { version, revision = v, r }(version, revision)
	version, revision = "v1.2.3", "abc"
	if _, stdout, _ := execute(nil, "version"); !strings.HasPrefix(stdout, "powerjob-shim v1.2.3 (revision abc, go") {
		t.Errorf("got %q", stdout)
	}
}

func TestCheckReportsEveryProblemOnItsOwnLine(t *testing.T) {
	file := writeFile(t, filepath.Join(t.TempDir(), "bad.yaml"), "lisen: []\nupstreams: {default: {servers: [\"http://a:1\"], timeout: 5}}\n")
	code, stdout, stderr := execute(nil, "check", "--config", file)
	lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
	if code != 1 || stdout != "" || len(lines) != 2 || !strings.HasPrefix(lines[0], file+":1: lisen: ") || !strings.HasPrefix(lines[1], file+":2: upstreams.default.timeout: ") {
		t.Errorf("%d, %q, %q", code, stdout, stderr)
	}
}

func TestCheckPrintsTheEffectiveConfiguration(t *testing.T) {
	file := writeFile(t, filepath.Join(t.TempDir(), "good.yaml"), "upstreams: {default: {servers: [\"http://a:1\"]}}\n")
	if code, stdout, _ := execute(nil, "check", "--config", file); code != 0 || stdout != "the configuration is valid\n" {
		t.Errorf("%d, %q", code, stdout)
	}
	code, stdout, _ := execute([]string{"POWERJOB_SHIM_LOG__LEVEL=debug"}, "check", "--config", file, "--print")
	if code != 0 || !strings.Contains(stdout, "http://a:1") || !strings.Contains(stdout, "level: debug") || !strings.Contains(stdout, "max_entries: 100000") {
		t.Errorf("%d, %q", code, stdout)
	}
	again := writeFile(t, filepath.Join(t.TempDir(), "printed.yaml"), stdout)
	if code, _, stderr := execute(nil, "check", "--config", again); code != 0 {
		t.Errorf("what was printed is not valid: %s", stderr)
	}
}

func TestHealthcheckAsksTheAdminListener(t *testing.T) {
	status := http.StatusOK
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			t.Errorf("asked for %s", r.URL.Path)
		}
		w.WriteHeader(status)
	}))
	defer s.Close()
	addr := s.Listener.Addr().String()
	_, port, _ := strings.Cut(addr, ":")
	file := writeFile(t, filepath.Join(t.TempDir(), "c.yaml"), "admin: {address: \""+addr+"\"}\n")
	for _, c := range []struct{ environ, args []string }{
		{nil, []string{"--admin", addr}},
		{nil, []string{"--admin", ":" + port}},
		{nil, []string{"--config", file}},
		{[]string{"POWERJOB_SHIM_ADMIN=" + addr}, nil},
		{[]string{"POWERJOB_SHIM_ADMIN__ADDRESS=:" + port}, nil},
		{[]string{"POWERJOB_SHIM_CONFIG=" + file}, nil},
		{[]string{"POWERJOB_SHIM_ADMIN__ADDRESS=:1"}, []string{"--admin", addr}},
	} {
		if code, _, stderr := execute(c.environ, append([]string{"healthcheck"}, c.args...)...); code != 0 {
			t.Errorf("%v: %d, %s", c, code, stderr)
		}
	}
	status = http.StatusServiceUnavailable
	if code, _, stderr := execute(nil, "healthcheck", "--admin", addr); code != 1 || !strings.Contains(stderr, "503") {
		t.Errorf("%d, %q", code, stderr)
	}
	s.Close()
	if code, _, stderr := execute(nil, "healthcheck", "--admin", addr); code != 1 || !strings.Contains(stderr, "connection refused") {
		t.Errorf("%d, %q", code, stderr)
	}
	if code, _, stderr := execute(nil, "healthcheck", "--admin", "%zz"); code != 1 || stderr == "" {
		t.Errorf("%d, %q", code, stderr)
	}
}

func TestTheAdminAddressIsWhatRunTakes(t *testing.T) {
	broken := writeFile(t, filepath.Join(t.TempDir(), "c.yaml"), "nonsense: 1\n")
	if got := adminAddress("", broken, nil, nil); got != "127.0.0.1:9700" {
		t.Errorf("with a broken file: %s", got)
	}
}

func TestEverySettingReachesTheProxy(t *testing.T) {
	file := writeFile(t, filepath.Join(t.TempDir(), "c.yaml"), `
mode: observe
upstreams:
  a: {servers: ["http://a:1", "https://b"], timeout: 1s, idle_timeout: 2s, openapi_prefix: /x/openApi}
  b: {servers: ["http://c:1"]}
routes: [{name: r, hosts: [h.test], paths: ["/p*"], upstream: a}, {name: rest, upstream: b}]
rules:
  - {name: h, paths: ["/openApi/*"], method: POST, hosts: [h.test], header: {name: X-A, value: v}}
  - {name: d, paths: ["/openApi/saveJob"], dedup: {match: body, window: 3s, mode: observe}}
dedup: {mode: observe, max_entries: 7, max_bytes: 2MiB, max_body: 3KiB, max_answer: 4KiB}
trusted_proxies: [10.0.0.0/8]
log: {access: false}
shutdown: {grace: 5s, delay: 6s}
`)
	cfg, err := config.Load(config.Source{File: file})
	if err != nil {
		t.Fatal(err)
	}
	s, err := wire.Settings(cfg)
	if err != nil {
		t.Fatal(err)
	}
	a := s.Upstreams["a"]
	for name, pair := range map[string][2]any{
		"upstreams":      {len(s.Upstreams), 2},
		"servers":        {a.Servers[0].String() + " " + a.Servers[1].String(), "http://a:1 https://b"},
		"timeout":        {a.Timeout, time.Second},
		"idle_timeout":   {a.IdleTimeout, 2 * time.Second},
		"prefix":         {a.OpenAPIPrefix, "/x/openApi"},
		"routes":         {len(s.Routes), 2},
		"route":          {s.Routes[0].Name + s.Routes[0].Hosts[0] + s.Routes[0].Paths[0] + s.Routes[0].Upstream, "rh.test/p*a"},
		"mode":           {s.Observing, true},
		"observe":        {s.Dedup.Observe, true},
		"max_body":       {s.Dedup.MaxBody, int64(3 << 10)},
		"max_answer":     {s.Dedup.MaxAnswer, int64(4 << 10)},
		"max_entries":    {s.Dedup.Limits.Entries, 7},
		"max_bytes":      {s.Dedup.Limits.Bytes, int64(2 << 20)},
		"trusted":        {s.TrustedProxies[0].String(), "10.0.0.0/8"},
		"access":         {s.AccessLog, false},
		"grace":          {s.Shutdown.Grace, 5 * time.Second},
		"delay":          {s.Shutdown.Delay, 6 * time.Second},
		"hash":           {s.Hash, cfg.Hash()},
		"a header rule":  {len(s.Rules.For("POST", "h.test", "/openApi/x").Headers), 1},
		"by its method":  {len(s.Rules.For("GET", "h.test", "/openApi/x").Headers), 0},
		"by its host":    {len(s.Rules.For("POST", "i.test", "/openApi/x").Headers), 0},
		"a dedup rule":   {s.Rules.For("POST", "h.test", "/openApi/saveJob").Dedup.Match.String(), "body"},
		"its window":     {s.Rules.For("POST", "h.test", "/openApi/saveJob").Dedup.Window, 3 * time.Second},
		"its observing":  {s.Rules.For("POST", "h.test", "/openApi/saveJob").Dedup.Observe, true},
		"listen address": {wire.Listeners(cfg.Listen)[0].Address, ":7700"},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s is %v, want %v", name, pair[0], pair[1])
		}
	}
}

func TestLogsAreJSONOrForPeople(t *testing.T) {
	var out strings.Builder
	log := wire.OpenLog(config.Log{Level: "warn", Format: "auto"}, &out)
	log.Logger.Info("dropped")
	log.Level.SetLevel(zapcore.InfoLevel)
	log.Logger.Info("kept")
	log.Close()
	if got := out.String(); !strings.HasPrefix(got, `{"level":"info","ts":"`) || !strings.HasSuffix(got, `"msg":"kept"}`+"\n") || strings.Contains(got, "dropped") {
		t.Errorf("got %q", got)
	}
	out.Reset()
	log = wire.OpenLog(config.Log{Level: "nonsense", Format: "console"}, &out)
	log.Logger.Info("kept")
	log.Close()
	if got := out.String(); !strings.HasSuffix(got, " INFO  kept\n") {
		t.Errorf("got %q", got)
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	stop, cancel := context.WithCancel(context.Background())
	cancel()
	var out strings.Builder
	environ := append(os.Environ(), "POWERJOB_SHIM_UPSTREAM=http://127.0.0.1:1", "POWERJOB_SHIM_LISTEN=127.0.0.1:0", "POWERJOB_SHIM_ADMIN=127.0.0.1:0")
	if err := serve(stop, context.Background(), config.Source{Environ: environ}, &out); err != nil {
		t.Fatal(err)
	}
	for _, msg := range []string{"started", "draining", "stopped"} {
		if !strings.Contains(out.String(), `"msg":"`+msg+`"`) {
			t.Errorf("the log lacks %q:\n%s", msg, out.String())
		}
	}
}

func TestAShimInThisProcessFails(t *testing.T) {
	if _, _, err := startInProcess("nonsense"); err == nil {
		t.Error("nonsense is no upstream")
	}
}
