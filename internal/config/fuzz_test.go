package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Whatever a file holds, Load does not panic and names every problem; the configuration
// that it accepts is printed in a form that loads to the same.
func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	examples, err := filepath.Glob("../../configs/examples/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range slices.Concat(files, examples, []string{"../../configs/default.yaml"}) {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	f.Add([]byte(everything))
	f.Fuzz(func(t *testing.T, content []byte) {
		if strings.Contains(string(content), "/") && strings.Contains(string(content), "dev") {
			t.Skip("opening a device may wait for ever")
		}
		flags := flagsOf(t, "--upstream", "http://127.0.0.1:7701")
		r := new(report)
		cfg := load("config.yaml", content, Source{Flags: flags}, r)
		for _, p := range r.problems {
			if p.Message == "" || p.File == "" {
				t.Errorf("problem without message or place: %+v", p)
			}
		}
		if r.err() != nil {
			return
		}
		text, err := cfg.YAML()
		if err != nil {
			t.Fatalf("printing: %v", err)
		}
		if strings.Contains(string(text), redacted) {
			return
		}
		r = new(report)
		again := load("printed.yaml", text, Source{}, r)
		if err := r.err(); err != nil {
			t.Fatalf("loading what was printed: %v\n%s", err, text)
		}
		if cfg.Hash() != again.Hash() {
			t.Errorf("hash %s, printed and loaded %s:\n%s", cfg.Hash(), again.Hash(), text)
		}
	})
}
