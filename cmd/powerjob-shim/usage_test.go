package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAWrongCommandLineIsTwoAndSaysWhatToWrite(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"chek", `unknown command "chek"; did you mean check?`},
		{"dublicates http://a", "did you mean duplicates?"},
		{"quux", "powerjob-shim --help lists them"},
		{"run --upstraem http://a:1", "unknown flag: --upstraem; see powerjob-shim run --help"},
		{"run extra", "powerjob-shim run --help"},
		{"check --print=maybe", "powerjob-shim check --help"},
		{"doctor", "powerjob-shim doctor --help"},
		{"doctor --timeout 5 http://a", "powerjob-shim doctor --help"},
		{"duplicates", "powerjob-shim duplicates --help"},
		{"duplicates http://a:1", `required flag(s) "app" not set`},
		{"duplicates http://a:1 --app x", "password-file password-env"},
		{"duplicates http://a:1 --app x --password-env A --password-file b", "password-env password-file"},
		{"duplicates http://a:1 --app x --password-env A --disable --delete", "delete disable"},
		{"duplicates http://a:1 --app x --password-env A --format xml", "table"},
		{"version now", "powerjob-shim version --help"},
		{"completion bash now", "powerjob-shim completion bash --help"},
	} {
		code, _, stderr := execute(nil, strings.Fields(c.args)...)
		if code != 2 || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: %d, %q, want 2 and %q", c.args, code, stderr, c.want)
		}
	}
}

func TestVersionAsJSON(t *testing.T) {
	_, stdout, _ := execute(nil, "version", "--json")
	var got map[string]string
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"version", "revision", "go", "os", "arch"} {
		if got[key] == "" {
			t.Errorf("%s is missing in %s", key, stdout)
		}
	}
}

func TestThePrintedDefaultsAreAConfiguration(t *testing.T) {
	_, stdout, _ := execute(nil, "print-defaults")
	file := writeFile(t, filepath.Join(t.TempDir(), "shim.yaml"), stdout)
	code, valid, stderr := execute(nil, "check", "--config", file)
	if code != 0 || valid != "the configuration is valid\n" || stderr != "warning: "+file+": upstreams: no server is named here: run needs --upstream URL\n" {
		t.Errorf("%d, %q, %q", code, valid, stderr)
	}
	if code, _, stderr := execute(nil, "check", "--config", file, "--upstream", "http://a:1"); code != 0 || stderr != "" {
		t.Errorf("with a server: %d, %q", code, stderr)
	}
	if code, _, stderr := execute(nil, "run", "--config", file); code != 1 || !strings.Contains(stderr, "no upstream server is given") {
		t.Errorf("run: %d, %q", code, stderr)
	}
}

func TestManualPagesAreWrittenTheSameEachTime(t *testing.T) {
	one, two := filepath.Join(t.TempDir(), "man"), t.TempDir()
	for _, dir := range []string{one, two} {
		if code, _, stderr := execute(nil, "man", dir); code != 0 {
			t.Fatal(stderr)
		}
	}
	for _, page := range []string{"powerjob-shim.1", "powerjob-shim-run.1", "powerjob-shim-doctor.1", "powerjob-shim-duplicates.1"} {
		first, err := os.ReadFile(filepath.Join(one, page))
		second, err2 := os.ReadFile(filepath.Join(two, page))
		if err != nil || err2 != nil || string(first) != string(second) || !strings.Contains(string(first), ".SH SYNOPSIS") {
			t.Errorf("%s: %v, %v, equal %t", page, err, err2, string(first) == string(second))
		}
	}
	if _, err := os.Stat(filepath.Join(one, "powerjob-shim-man.1")); err == nil {
		t.Error("the hidden command has a page")
	}
}

func TestHealthcheckFindsTheAddressThatRunWasGiven(t *testing.T) {
	file := writeFile(t, filepath.Join(t.TempDir(), "c.yaml"), "admin: {address: \"127.0.0.1:1\"}\n")
	image := []string{"POWERJOB_SHIM_ADMIN=:9700"}
	for name, c := range map[string]struct {
		flag, file string
		environ    []string
		process1   string
		want       string
	}{
		"its --admin":                    {"", "", image, "/powerjob-shim run --admin 127.0.0.1:2 --upstream http://a:1", "127.0.0.1:2"},
		"its --admin=":                   {"", "", image, "/powerjob-shim run --admin=:2", ":2"},
		"its --config":                   {"", "", nil, "powerjob-shim run --config " + file, "127.0.0.1:1"},
		"environment over its file":      {"", "", image, "powerjob-shim run --config " + file, ":9700"},
		"own flag first":                 {":3", "", image, "powerjob-shim run --admin :2", ":3"},
		"another program":                {"", "", image, "/sbin/init run --admin :2", ":9700"},
		"another command":                {"", "", image, "powerjob-shim doctor --admin :2", ":9700"},
		"a flag of a later version":      {"", "", nil, "powerjob-shim run --new x --admin :2", ":2"},
		"a command line that is no good": {"", "", nil, "powerjob-shim run --admin", "127.0.0.1:9700"},
		"nothing known":                  {"", "", nil, "", "127.0.0.1:9700"},
	} {
		if got := adminAddress(c.flag, c.file, c.environ, []byte(strings.ReplaceAll(c.process1, " ", "\x00")+"\x00")); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
