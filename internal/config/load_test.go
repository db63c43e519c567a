package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"powerjob-shim/configs"
	"powerjob-shim/rules"
)

const oneServer = "upstreams: {default: {servers: [\"http://127.0.0.1:7701\"]}}\n"

// writeFile returns the path of a new file with that content.
func writeFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func mustLoad(t *testing.T, src Source) *Config {
	t.Helper()
	cfg, err := Load(src)
	if err != nil {
		t.Fatalf("loading: %v", err)
	}
	return cfg
}

func flagsOf(t *testing.T, args ...string) *pflag.FlagSet {
	t.Helper()
	flags := pflag.NewFlagSet("run", pflag.ContinueOnError)
	AddFlags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return flags
}

// listenersAt returns listeners with these addresses and otherwise the defaults.
func listenersAt(addresses ...string) []Listener {
	var all []Listener
	for _, address := range addresses {
		all = append(all, Listener{Address: address, HeaderTimeout: 10 * time.Second, BodyTimeout: 30 * time.Second, MinBodyRate: 100, StallTimeout: 30 * time.Second, IdleTimeout: 6 * time.Minute, ProxyProtocol: "off"})
	}
	return all
}

func TestAnUpstreamFlagAloneIsAConfiguration(t *testing.T) {
	cfg := mustLoad(t, Source{Flags: flagsOf(t, "--upstream", "http://127.0.0.1:7701")})
	want := map[string]Upstream{"default": {
		Servers: []string{"http://127.0.0.1:7701"}, Host: HostKeep, Unreachable: UnreachableClose, Timeout: 30 * time.Second, StreamTimeout: 10 * time.Minute, IdleTimeout: 15 * time.Second, OpenAPIPrefix: "/openApi", Compat: Compat{RunJob2: CompatAuto},
	}}
	if !reflect.DeepEqual(cfg.Upstreams, want) {
		t.Errorf("upstreams %+v, want %+v", cfg.Upstreams, want)
	}
	if want := listenersAt(":7700"); !reflect.DeepEqual(cfg.Listen, want) {
		t.Errorf("listen %+v, want %+v", cfg.Listen, want)
	}
	if cfg.Admin != (Admin{Address: "127.0.0.1:9700", Ready: ReadyAny}) {
		t.Errorf("admin %+v", cfg.Admin)
	}
	if cfg.Log != (Log{Level: "info", Format: "auto", Access: true}) {
		t.Errorf("log %+v", cfg.Log)
	}
	if cfg.Shutdown != (Shutdown{Grace: 20 * time.Second}) {
		t.Errorf("shutdown %+v", cfg.Shutdown)
	}
	wantDedup := Dedup{Mode: ModeEnforce, Store: StoreMemory, MaxEntries: 100000, MaxBytes: 64 << 20, MaxBody: 1 << 20, MaxAnswer: 256 << 10, MaxHeldAnswers: 32 << 20,
		Redis: Redis{KeyPrefix: "powerjob-shim:", Timeout: 200 * time.Millisecond}}
	if !reflect.DeepEqual(cfg.Dedup, wantDedup) {
		t.Errorf("dedup %+v, want %+v", cfg.Dedup, wantDedup)
	}
}

func TestFlagsWinOverEnvironmentOverFileOverDefaults(t *testing.T) {
	file := writeFile(t, oneServer+"log: {level: warn, format: console, access: false}\nadmin: {address: \"127.0.0.1:1\"}\n")
	src := Source{
		File:    file,
		Environ: []string{"POWERJOB_SHIM_LOG__FORMAT=json", "POWERJOB_SHIM_ADMIN__ADDRESS=127.0.0.1:2", "HOME=/"},
		Flags:   flagsOf(t, "--admin", "127.0.0.1:3"),
	}
	cfg := mustLoad(t, src)
	if want := (Log{Level: "warn", Format: "json", Access: false}); cfg.Log != want {
		t.Errorf("log %+v, want %+v", cfg.Log, want)
	}
	if want := "127.0.0.1:3"; cfg.Admin.Address != want {
		t.Errorf("admin %s, want %s", cfg.Admin.Address, want)
	}
	if want := 20 * time.Second; cfg.Shutdown.Grace != want {
		t.Errorf("grace %s, want %s", cfg.Shutdown.Grace, want)
	}
}

func TestAFlagThatWasNotSetDoesNotCount(t *testing.T) {
	flags := pflag.NewFlagSet("run", pflag.ContinueOnError)
	flags.String("log-level", "error", "")
	flags.Bool("unrelated", true, "")
	cfg := mustLoad(t, Source{File: writeFile(t, oneServer), Flags: flags})
	if cfg.Log.Level != "info" {
		t.Errorf("level %s, want info", cfg.Log.Level)
	}
}

func TestFlagsMayBeRepeated(t *testing.T) {
	cfg := mustLoad(t, Source{Flags: flagsOf(t,
		"--listen", "127.0.0.1:0", "--listen", "[::1]:0", "--upstream", "http://a", "--upstream", "http://b",
		"--log-level", "debug", "--log-format", "console")})
	if want := listenersAt("127.0.0.1:0", "[::1]:0"); !reflect.DeepEqual(cfg.Listen, want) {
		t.Errorf("listen %+v, want %+v", cfg.Listen, want)
	}
	if got := cfg.Upstreams["default"].Servers; !slices.Equal(got, []string{"http://a", "http://b"}) {
		t.Errorf("servers %v", got)
	}
	if cfg.Log.Level != "debug" || cfg.Log.Format != "console" {
		t.Errorf("log %+v", cfg.Log)
	}
}

func TestUpstreamMeansTheOnlyGroupOfTheFile(t *testing.T) {
	file := writeFile(t, "upstreams: {main: {servers: [\"http://old\"], timeout: 7s}}\n")
	for name, src := range map[string]Source{
		"flag":     {File: file, Flags: flagsOf(t, "--upstream", "http://new")},
		"variable": {File: file, Environ: []string{"POWERJOB_SHIM_UPSTREAM=http://new"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := mustLoad(t, src)
			if got := cfg.Upstreams["main"]; len(cfg.Upstreams) != 1 || !slices.Equal(got.Servers, []string{"http://new"}) || got.Timeout != 7*time.Second {
				t.Errorf("upstreams %+v", cfg.Upstreams)
			}
		})
	}
}

func TestAListReplacesTheWholeListBelow(t *testing.T) {
	cfg := mustLoad(t, Source{File: writeFile(t, oneServer+"rules:\n- {name: only, paths: [/x], method: POST, dedup: {match: resend}}\n")})
	want := []Rule{{Name: "only", Method: OneOrMore{"POST"}, Paths: []string{"/x"},
		Dedup: &RuleDedup{Match: MatchResend, Window: 5 * time.Second, Mode: ModeEnforce}}}
	if !reflect.DeepEqual(cfg.Rules, want) {
		t.Errorf("rules %+v, want %+v", cfg.Rules, want)
	}
}

func TestAMethodMayBeOneOrAList(t *testing.T) {
	for text, want := range map[string]OneOrMore{"POST": {"POST"}, "[POST, PUT]": {"POST", "PUT"}} {
		cfg := mustLoad(t, Source{File: writeFile(t, oneServer+"rules: [{name: a, paths: [/x], method: "+text+", header: {name: X-A}}]\n")})
		if got := cfg.Rules[0].Method; !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

// The list is PowerJob's (protocol of the 5.1.0 client): a changing call that
// no default rule covers would be executed twice where the header is lost.
func TestTheDefaultRulesCoverEveryChangingCall(t *testing.T) {
	changing := strings.Fields(`saveJob copyJob disableJob enableJob deleteJob runJob stopInstance cancelInstance retryInstance
		saveWorkflow copyWorkflow disableWorkflow enableWorkflow deleteWorkflow runWorkflow addWorkflowNode stopWfInstance
		retryWfInstance markWorkflowNodeAsSuccess runJob2`)
	cfg := mustLoad(t, Source{File: writeFile(t, oneServer)})
	var list []rules.Rule
	for _, rule := range cfg.Rules {
		r := rules.Rule{Name: rule.Name, Methods: rule.Method, Paths: rule.Paths, Header: &rules.Header{Name: "X-A"}}
		if d := rule.Dedup; d != nil {
			r.Dedup = &rules.Dedup{Window: d.Window}
			match := map[string]string{"save-job": MatchBody, "other-changes": MatchResend}[rule.Name]
			if d.Window != 5*time.Second || d.Mode != ModeEnforce || d.Match != match {
				t.Errorf("%s: %+v", rule.Name, d)
			}
		}
		list = append(list, r)
	}
	set, err := rules.Compile(list)
	if err != nil {
		t.Fatal(err)
	}
	check := func(call, want string) {
		if got := set.For("POST", "h", "/openApi/"+call).Rule; got != want {
			t.Errorf("%s: under rule %q, want %q", call, got, want)
		}
	}
	for _, call := range changing {
		want := "other-changes"
		if call == "saveJob" {
			want = "save-job"
		}
		check(call, want)
	}
	check("callOfTomorrow", "other-changes")
	for _, call := range strings.Fields("authApp assert fetchJob fetchAllJob queryJob exportJob queryInstance fetchOfTomorrow queryOfTomorrow exportOfTomorrow") {
		check(call, "")
	}
	if got := set.For("POST", "h", "/container/list").Rule; got != "" {
		t.Errorf("what is no call is under rule %q", got)
	}
	wantHeader := &RuleHeader{Name: "X-POWERJOB-AUTH-PASSED", Value: "true"}
	if first := cfg.Rules[0]; !slices.Equal(first.Paths, []string{"/openApi/*"}) || !reflect.DeepEqual(first.Header, wantHeader) {
		t.Errorf("first rule %+v", first)
	}
}

// default.yaml is the reference: nobody finds a key that is missing there.
func TestDefaultYAMLMentionsEveryKey(t *testing.T) {
	text := string(configs.DefaultYAML())
	var walk func(path string, typ reflect.Type)
	walk = func(path string, typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct {
			return
		}
		for _, f := range fieldsOf(typ) {
			if !strings.Contains(text, f.key+":") && !strings.Contains(text, "or "+f.key) && !strings.Contains(text, ", "+f.key) && !strings.Contains(text, "also "+f.key) {
				t.Errorf("%s is not in default.yaml", join(path, f.key))
			}
			walk(join(path, f.key), f.typ)
		}
	}
	walk("", reflect.TypeFor[Config]())
}

func TestTheDefaultsNeedOnlyAServer(t *testing.T) {
	mustLoad(t, Source{File: "../../configs/default.yaml", Flags: flagsOf(t, "--upstream", "http://127.0.0.1:7701")})
}

func TestEveryProblemOfEverySourceIsReportedAtOnce(t *testing.T) {
	file := writeFile(t, "upstreams: {default: {servers: [x], timeout: 5}}\nbanana: 1\n")
	_, err := Load(Source{
		File:    file,
		Environ: []string{"POWERJOB_SHIM_LOG__LEVEL=loud", "POWERJOB_SHIM_BANANA=1"},
		Flags:   flagsOf(t, "--admin", "nowhere", "--log-format", "xml"),
	})
	want := strings.Join([]string{
		file + `:1: upstreams.default.timeout: "5" has no unit; write 5s or 500ms`,
		file + `:1: upstreams.default.servers[0]: "x" does not begin with http:// or https://; write for example http://10.0.0.1:7700`,
		file + `:2: banana: unknown key; the keys here are listen, admin, mode, upstreams, routes, rules, dedup, auth, trusted_proxies, max_body, log, shutdown`,
		`POWERJOB_SHIM_BANANA: unknown variable; keys are written like POWERJOB_SHIM_DEDUP__MAX_BODY, with __ between the levels`,
		`POWERJOB_SHIM_LOG__LEVEL: log.level: "loud" is not known; write debug, info, warn or error`,
		`--admin: admin.address: "nowhere" is not host:port; write for example "127.0.0.1:9700"`,
		`--log-format: log.format: "xml" is not known; write auto, json or console`,
	}, "\n")
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
	var problem *Problem
	if !errors.As(err, &problem) {
		t.Fatal("no *Problem in it")
	}
	if wantFirst := (Problem{File: file, Line: 1, Path: "upstreams.default.timeout", Message: `"5" has no unit; write 5s or 500ms`}); *problem != wantFirst {
		t.Errorf("first problem %+v, want %+v", *problem, wantFirst)
	}
}

func TestAProblemIsReportedEvenWhereALaterSourceWins(t *testing.T) {
	file := writeFile(t, oneServer+"log: {level: 5}\n")
	_, err := Load(Source{File: file, Environ: []string{"POWERJOB_SHIM_LOG__LEVEL=debug"}})
	if want := file + `:2: log.level: must be text, not the number 5; put it in quotes: "5"`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestAProblemStandsWhereTheWinningListWasGiven(t *testing.T) {
	file := writeFile(t, oneServer+"listen: [{address: \":1\"}]\n")
	_, err := Load(Source{File: file, Flags: flagsOf(t, "--listen", "nowhere")})
	if want := `--listen: listen[0].address: "nowhere" is not host:port; write for example ":7700"`; errorText(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestAFileThatIsMissingOrTooLargeIsAnError(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.yaml")
	large := writeFile(t, strings.Repeat("# nothing\n", maxFileBytes/10+1))
	deep := writeFile(t, oneServer+"banana: "+strings.Repeat("[", 40)+strings.Repeat("]", 40)+"\n")
	for file, want := range map[string]string{
		missing:     missing + ": cannot be read: no such file or directory",
		t.TempDir(): ": cannot be read: is a directory",
		large:       large + ": is larger than 1MiB",
		deep:        "is nested more than 32 deep",
	} {
		if _, err := Load(Source{File: file}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestAnEmptyFileChangesNothing(t *testing.T) {
	flags := flagsOf(t, "--upstream", "http://127.0.0.1:7701")
	want := mustLoad(t, Source{Flags: flags}).Hash()
	for _, content := range []string{"", "# only a comment\n", "---\n"} {
		if got := mustLoad(t, Source{File: writeFile(t, content), Flags: flags}).Hash(); got != want {
			t.Errorf("%q: hash %s, want %s", content, got, want)
		}
	}
}

func TestZeroIsTakenWhereItMeansSomething(t *testing.T) {
	cfg := mustLoad(t, Source{File: writeFile(t, oneServer+"shutdown: {grace: 0, delay: 0s}\n")})
	if cfg.Shutdown.Grace != 0 {
		t.Errorf("grace %s, want 0", cfg.Shutdown.Grace)
	}
}

func TestAliasesStandForWholeValues(t *testing.T) {
	cfg := mustLoad(t, Source{File: writeFile(t, `
upstreams:
  a: {servers: &servers ["http://127.0.0.1:7701"]}
  b: {servers: *servers}
routes: [{name: a, hosts: [a], upstream: a}, {name: b, upstream: b}]
`)})
	if got := cfg.Upstreams["b"].Servers; !slices.Equal(got, []string{"http://127.0.0.1:7701"}) {
		t.Errorf("servers %v", got)
	}
}

func TestRoutesDefaultToAllPathsAndTheOnlyGroup(t *testing.T) {
	cfg := mustLoad(t, Source{File: writeFile(t, oneServer+"routes: [{name: main}]\n")})
	if want := []Route{{Name: "main", Paths: []string{"/*"}, Upstream: "default"}}; !reflect.DeepEqual(cfg.Routes, want) {
		t.Errorf("routes %+v, want %+v", cfg.Routes, want)
	}
}

func TestListsThatAreMultipliedAreBounded(t *testing.T) {
	many := func(n int, format string) string {
		items := make([]string, n)
		for i := range items {
			items[i] = fmt.Sprintf(format, i)
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	for content, want := range map[string]string{
		"listen: " + many(101, "{address: \":%d\"}") + "\n": ":2: listen: has 101 listeners; write at most 100",
		"routes: [{name: a, hosts: " + many(101, "h%d") + ", paths: " + many(100, "/%d") + "}]\n": ":2: routes[0]: makes more than 10000 pairs of host and path; " +
			"write fewer, a prefix or *.name covers many",
	} {
		file := writeFile(t, oneServer+content)
		if _, err := Load(Source{File: file}); errorText(err) != file+want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestServersMayComeFromElsewhere(t *testing.T) {
	load := func(text string) (*Config, error) {
		file := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return Load(Source{File: file, Templates: true})
	}
	for _, text := range []string{"{}", "upstreams: {default: {timeout: 7s}, old: {tls: {server_name: a.test}}}"} {
		if _, err := load(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	cfg, err := load("upstreams: {default: {timeout: 7s}}")
	if err != nil || cfg.Upstreams["default"].Timeout != 7*time.Second || cfg.Upstreams["default"].IdleTimeout != 15*time.Second {
		t.Errorf("got %+v, %v", cfg, err)
	}
	_, err = load("upstreams: {default: {servers: [\"http://a:1\"]}}\nroutes: [{name: a}]")
	for _, want := range []string{"c.yaml:1: upstreams.default.servers: cannot be given here", "c.yaml:2: routes: cannot be given here"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q: %v", want, err)
		}
	}
}

func TestServersAreReadAsPeopleWriteThem(t *testing.T) {
	want := []string{"http://127.0.0.1:7701", "http://powerjob:7702", "https://c:7703"}
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	AddFlags(flags)
	if err := flags.Parse([]string{"--upstream", "127.0.0.1:7701,powerjob:7702", "--upstream", "https://c:7703"}); err != nil {
		t.Fatal(err)
	}
	for name, src := range map[string]Source{
		"flags":    {Flags: flags},
		"variable": {Environ: []string{"POWERJOB_SHIM_UPSTREAM=127.0.0.1:7701,powerjob:7702, https://c:7703"}},
		"file":     {File: writeFile(t, "upstreams: {default: {servers: [\"127.0.0.1:7701, powerjob:7702\", \"https://c:7703\"]}}\n")},
	} {
		cfg, err := Load(src)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := cfg.Upstreams["default"].Servers; !slices.Equal(got, want) {
			t.Errorf("%s: servers %q, want %q", name, got, want)
		}
	}
}
