package duplicates

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestTheReadmeShowsWhatDuplicatesPrints(t *testing.T) {
	start := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	job := func(id int64, name string, ms time.Duration) Job {
		return Job{ID: id, Name: name, Status: Enabled, Created: start.Add(ms * time.Millisecond)}
	}
	r := &report{server: "http://127.0.0.1:7701", app: "app1", jobs: 4, within: 10 * time.Second, found: []Finding{
		{Kind: Pair, Jobs: []Job{job(1, "nightly report", 0), job(2, "nightly report", 3)}},
		{Kind: Pair, Jobs: []Job{job(3, "nightly report_COPY", 5), job(4, "nightly report_COPY", 8)}},
	}}
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if shown := "```text\n" + r.table(false) + "```"; !strings.Contains(string(text), shown) {
		t.Errorf("README.md does not show this:\n%s", shown)
	}
}

func TestANameDoesNothingToATerminal(t *testing.T) {
	for name, want := range map[string]string{"nightly": "nightly", "每晚 报表": "每晚 报表", "": `""`, "a\tb": `"a\tb"`, "\x1b[2J": `"\x1b[2J"`, `say "x"`: `"say \"x\""`} {
		if got := printable(name); got != want {
			t.Errorf("%q is printed as %s, want %s", name, got, want)
		}
	}
}
