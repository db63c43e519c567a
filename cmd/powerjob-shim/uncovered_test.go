package main

import (
	"path/filepath"
	"strings"
	"testing"

	"powerjob-shim/internal/config"
)

func TestCheckWarnsOfWhatTheRulesForget(t *testing.T) {
	const (
		server = "upstreams: {default: {servers: [\"http://a:1\"]}}\n"
		header = "  - {name: h, paths: [\"/openApi/*\"], header: {name: X-POWERJOB-AUTH-PASSED, value: \"true\"}}\n"
		save   = "  - {name: s, paths: [/openApi/saveJob], dedup: {match: body, window: 5s}}\n"
		all    = "  - {name: a, hosts: [example.com], paths: [\"/openApi/*\"], dedup: {match: resend, window: 5s}}\n"
	)
	for name, c := range map[string]struct {
		config string
		want   []string
	}{
		"the defaults":       {server, nil},
		"all of them":        {server + "rules:\n" + header + save + all, nil},
		"only saveJob":       {server + "rules:\n" + header + save, []string{"no dedup rule for copyJob, "}},
		"no header":          {server + "rules:\n" + all, []string{"no header rule for authApp, "}},
		"GET is no call":     {server + "rules:\n" + header + strings.Replace(all, "hosts: [example.com]", "method: GET", 1), []string{"no dedup rule for saveJob, "}},
		"neither for others": {server + "rules:\n" + save, []string{"no header rule for authApp, ", "no dedup rule for copyJob, "}},
	} {
		t.Run(name, func(t *testing.T) {
			file := writeFile(t, filepath.Join(t.TempDir(), "shim.yaml"), c.config)
			code, stdout, stderr := execute(nil, "check", "--config", file)
			lines := strings.FieldsFunc(stderr, func(r rune) bool { return r == '\n' })
			if code != 0 || stdout != "the configuration is valid\n" || len(lines) != len(c.want) {
				t.Fatalf("%d, %q, %q", code, stdout, stderr)
			}
			for i, want := range c.want {
				if !strings.HasPrefix(lines[i], "warning: "+file+": rules: "+want) {
					t.Errorf("got %q, want %q", lines[i], want)
				}
			}
		})
	}
}

func TestEveryExampleCoversAllCalls(t *testing.T) {
	var files []string
	for _, pattern := range []string{"examples/*.yaml", "systemd/*.yaml", "kubernetes/*/shim.yaml"} {
		found, err := filepath.Glob(filepath.Join("../../configs", pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v, %v", pattern, found, err)
		}
		files = append(files, found...)
	}
	environ := []string{"STORE_PASSWORD=x", "STORE_KEYS=" + strings.Repeat("k", 32), "MY_APP_PASSWORD=x"}
	for _, file := range files {
		cfg, err := config.Load(config.Source{File: file, Environ: environ})
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		for _, warning := range uncovered(cfg) {
			t.Errorf("%s: %s", file, warning)
		}
	}
}
