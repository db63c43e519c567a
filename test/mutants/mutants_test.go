// Package mutants weakens the rules of deduplication, one at a time, and shows
// that a named test notices. What no test would miss is not known to work.
package mutants

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mutant is a weakening: old, which stands exactly once in file, becomes new.
type mutant struct {
	name     string
	file     string // beneath the module's root
	old, new string
	test     string // in the file's package; must fail
}

func TestEveryWeakeningIsNoticed(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it builds a test binary for each of the mutants")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	testsPassWithoutAnyMutant(t, root)
	atOnce := make(chan struct{}, 2)
	for _, m := range mutants {
		t.Run(strings.ReplaceAll(m.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			atOnce <- struct{}{}
			defer func() { <-atOnce }()
			out, failed := goTest(t, root, m.dir(), m.test, "-overlay", m.overlay(t, root))
			if !failed || !strings.Contains(out, "--- FAIL: "+m.test) {
				t.Errorf("%s in %s: %s does not fail:\n%s", m.name, m.file, m.test, out)
			}
		})
	}
}

func testsPassWithoutAnyMutant(t *testing.T, root string) {
	t.Helper()
	tests := map[string][]string{}
	for _, m := range mutants {
		if !slices.Contains(tests[m.dir()], m.test) {
			tests[m.dir()] = append(tests[m.dir()], m.test)
		}
	}
	for dir, names := range tests {
		out, failed := goTest(t, root, dir, strings.Join(names, "|"), "-v")
		if failed {
			t.Fatalf("without a mutant:\n%s", out)
		}
		for _, name := range names {
			if !strings.Contains(out, "--- PASS: "+name+" ") {
				t.Errorf("there is no test %s in %s", name, dir)
			}
		}
	}
}

func (m mutant) dir() string { return "./" + filepath.Dir(m.file) }

// overlay writes what `go help build` wants for -overlay: the module stays as
// it is, and the compiler reads the mutant's file.
func (m mutant) overlay(t *testing.T, root string) string {
	t.Helper()
	file := filepath.Join(root, m.file)
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), m.old); n != 1 {
		t.Fatalf("%s has %d times\n%s\nwant once: the mutant has to follow the code", m.file, n, m.old)
	}
	changed := filepath.Join(t.TempDir(), filepath.Base(m.file))
	list, err := json.Marshal(map[string]map[string]string{"Replace": {file: changed}})
	if err != nil {
		t.Fatal(err)
	}
	overlay := filepath.Join(t.TempDir(), "overlay.json")
	for name, content := range map[string][]byte{changed: []byte(strings.Replace(string(source), m.old, m.new, 1)), overlay: list} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return overlay
}

func goTest(t *testing.T, root, dir, test string, args ...string) (output string, failed bool) {
	t.Helper()
	args = append([]string{"test", "-vet=off", "-count=1", "-run", "^(" + test + ")$"}, args...)
	cmd := exec.CommandContext(t.Context(), "go", append(args, dir)...)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	return string(out), err != nil
}
