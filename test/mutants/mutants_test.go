// Package mutants weakens the rules of deduplication, one at a time, and shows
// that a named test notices. A rule that no test would miss is not known to work.
package mutants

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mutant is a weakening of a function by patches. In a file that is not Go it has no
// function, and one patch, whose old is a text that the file has once.
type mutant struct {
	name     string
	file     string // beneath the module's root
	function string // with the name of its receiver's type in front: "Machine.decide"
	patches  []patch
	test     string // in the package that testsOf names; must fail
}

func TestEveryWeakeningIsNoticed(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it builds test binaries with the mutants")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	built := buildAll(t, root)
	atOnce := make(chan struct{}, 2)
	for i, m := range mutants {
		t.Run(strings.ReplaceAll(m.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			atOnce <- struct{}{}
			defer func() { <-atOnce }()
			out, failed := built[i].run(t, m.test, i+1)
			if !failed || !strings.Contains(out, "--- FAIL: "+m.test) {
				t.Errorf("%s in %s: %s does not fail:\n%s", m.name, m.file, m.test, out)
			}
		})
	}
}

// binary is a package's test binary.
type binary struct{ path, dir string }

// buildAll builds the test binaries that the mutants run in, and checks that their tests
// pass there without the mutants.
func buildAll(t *testing.T, root string) map[int]binary {
	t.Helper()
	built := map[int]binary{}
	byDir := map[string]overlay{}
	var apart []int
	for _, file := range filesWithMutants() {
		source, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Ext(file) != ".go" {
			for i, m := range mutants {
				if m.file == file {
					apart = append(apart, i)
				}
			}
			continue
		}
		w, alone := weave(t, file, string(source), mutants)
		apart = append(apart, alone...)
		dir := testsOf(file)
		if byDir[dir] == nil {
			byDir[dir] = overlay{}
		}
		byDir[dir][file] = w.source
		byDir[dir][filepath.Join(filepath.Dir(file), "woven_mutant.go")] = fmt.Sprintf(chooser, w.pkg)
		for _, i := range w.numbers {
			built[i] = binary{dir: dir}
		}
	}
	for dir, o := range byDir {
		b := build(t, root, dir, o)
		var tests []string
		for i, of := range built {
			if of.dir == dir {
				built[i] = b
				tests = append(tests, mutants[i].test)
			}
		}
		b.passes(t, tests)
	}
	for _, i := range apart {
		m := mutants[i]
		source, err := os.ReadFile(filepath.Join(root, m.file))
		if err != nil {
			t.Fatal(err)
		}
		dir := testsOf(m.file)
		build(t, root, dir, nil).passes(t, []string{m.test})
		built[i] = build(t, root, dir, overlay{m.file: m.weakened(t, string(source))})
	}
	return built
}

// testsOf returns the package whose tests must notice a mutant of file: its own, except
// for the default configuration, which is tested where it is loaded, and the guard,
// which is tested by the rules that use it.
func testsOf(file string) string {
	switch {
	case filepath.Ext(file) != ".go":
		return "internal/config"
	case file == guard:
		return "rules/dedup"
	}
	return filepath.Dir(file)
}

func filesWithMutants() []string {
	var files []string
	for _, m := range mutants {
		if !slices.Contains(files, m.file) {
			files = append(files, m.file)
		}
	}
	return files
}

// passes fails the test unless these tests are there and pass.
func (b binary) passes(t *testing.T, tests []string) {
	t.Helper()
	slices.Sort(tests)
	tests = slices.Compact(tests)
	out, failed := b.run(t, strings.Join(tests, "|"), 0)
	if failed {
		t.Fatalf("without a mutant:\n%s", out)
	}
	for _, name := range tests {
		if !strings.Contains(out, "--- PASS: "+name+" ") {
			t.Errorf("there is no test %s in %s", name, b.dir)
		}
	}
}

// run runs tests of the binary with the mutant of a number; 0: without one.
func (b binary) run(t *testing.T, tests string, number int) (output string, failed bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), b.path, "-test.run", "^("+tests+")$", "-test.v", "-test.timeout", "5m")
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), fmt.Sprint(chosen, "=", number))
	out, err := cmd.CombinedOutput()
	return string(out), err != nil
}

// overlay has the texts that replace those of files beneath the module's root.
type overlay map[string]string

// build builds a package's tests; the module stays as it is, and the compiler
// reads the overlay (see `go help build`).
func build(t *testing.T, root, dir string, o overlay) binary {
	t.Helper()
	scratch := t.TempDir()
	replace := map[string]string{}
	for file, text := range o {
		at := filepath.Join(scratch, fmt.Sprint(len(replace), "-", filepath.Base(file)))
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		replace[filepath.Join(root, file)] = at
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	listed := filepath.Join(scratch, "overlay.json")
	if err := os.WriteFile(listed, list, 0o600); err != nil {
		t.Fatal(err)
	}
	b := binary{filepath.Join(scratch, "binary.test"), filepath.Join(root, dir)}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-overlay", listed, "-o", b.path, "./"+dir)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the tests of %s with mutants (their number is their place in the list): %v\n%s", dir, err, out)
	}
	return b
}
