package config

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the errors that come out into testdata/invalid-*.txt")

// Each testdata/invalid-*.yaml has its exact error beside it.
func TestInvalidFilesGiveTheirExactErrors(t *testing.T) {
	t.Chdir("testdata")
	files, err := filepath.Glob("invalid-*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			cfg, err := Load(Source{File: file, Environ: []string{"SHORT=short"}})
			if err == nil {
				t.Fatalf("loaded as %+v", cfg)
			}
			got := err.Error() + "\n"
			wantFile := strings.TrimSuffix(file, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(wantFile, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(wantFile)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}
