package docs

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// mostFiles is how many files a newcomer must read to follow a saveJob.
const mostFiles = 25

func TestASaveJobsWayNamesFewFilesEachOnce(t *testing.T) {
	_, way, _ := strings.Cut(read(t, "docs/architecture.md"), "\n## A saveJob's way\n")
	way, _, _ = strings.Cut(way, "\n## ")
	seen := map[string]bool{}
	for _, line := range strings.Split(way, "\n") {
		if !strings.HasPrefix(line, "| ") {
			continue
		}
		for _, m := range path.FindAllStringSubmatch(line, -1) {
			file := m[1]
			switch {
			case !strings.HasSuffix(file, ".go"):
			case seen[file]:
				t.Errorf("%s is named twice", file)
			default:
				seen[file] = true
			}
		}
	}
	if n := len(seen); n < 15 || n > mostFiles || !strings.Contains(way, fmt.Sprintf("These are the files to read, %d of them", n)) {
		t.Errorf("%d files are named; want at most %d, and the text to say how many", n, mostFiles)
	}
}

// A room that grows beyond this is two rooms. The lines are those of all files but tests.
func TestRoomsAreSmall(t *testing.T) {
	lines := map[string]int{}
	for _, root := range []string{"../proxy", "../rules/dedup"} {
		err := filepath.WalkDir(root, func(file string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
				return err
			}
			text, err := os.ReadFile(file)
			lines[filepath.ToSlash(filepath.Dir(file))] += bytes.Count(text, []byte("\n"))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for room, n := range lines {
		most := 1200
		if room == "../rules/dedup" {
			most = 1699
		}
		if n > most {
			t.Errorf("%s has %d lines, more than %d", room, n, most)
		}
	}
	if len(lines) < 20 {
		t.Errorf("only %d rooms were looked at", len(lines))
	}
}
