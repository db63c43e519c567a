package docs

import (
	"fmt"
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
