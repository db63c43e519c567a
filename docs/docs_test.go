// Package docs has no code: its tests hold the documentation to what exists.
package docs

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"powerjob-shim/internal/config"
	"powerjob-shim/metrics"
)

const root = ".."

func TestBothLanguagesHaveTheSameHeadingsAndCode(t *testing.T) {
	pairs := 0
	for _, chinese := range documents(t) {
		name, ok := strings.CutSuffix(chinese, ".zh-CN.md")
		if !ok {
			continue
		}
		pairs++
		en, zh := read(t, name+".md"), read(t, chinese)
		if got, want := headings(zh), headings(en); !slices.Equal(got, want) {
			t.Errorf("%s: levels of headings: Chinese %v, English %v", name, got, want)
		}
		got, want := code(zh), code(en)
		if len(got) != len(want) {
			t.Errorf("%s: code blocks: Chinese %d, English %d", name, len(got), len(want))
			continue
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s: code block %d differs:\nChinese:\n%s\nEnglish:\n%s", name, i+1, got[i].text, want[i].text)
			}
		}
	}
	if pairs < 4 {
		t.Errorf("only %d documents are in both languages", pairs)
	}
}

func TestTheChineseTextsUseOneWordForOneThing(t *testing.T) {
	for _, name := range documents(t) {
		if strings.HasSuffix(name, ".zh-CN.md") {
			for _, word := range []string{"应答", "回应", "答复"} {
				if strings.Contains(read(t, name), word) {
					t.Errorf("%s says %s; write 响应", name, word)
				}
			}
		}
	}
}

func TestTheReadmesAreShort(t *testing.T) {
	for _, name := range []string{"README.md", "README.zh-CN.md"} {
		if n := strings.Count(read(t, name), "\n"); n >= 200 {
			t.Errorf("%s has %d lines; under 200, evidence goes to docs/testing.md", name, n)
		}
	}
}

var (
	link = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	path = regexp.MustCompile("`((?:cmd|configs|docs|internal|metrics|proxy|rules|test|\\.ci)/[\\w./-]*)`")
)

func TestEveryLinkAndPathLeadsToAFile(t *testing.T) {
	for _, name := range documents(t) {
		text := read(t, name)
		var targets []string
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			file, anchor, _ := strings.Cut(m[1], "#")
			target := name
			if file != "" {
				target = filepath.Join(filepath.Dir(name), file)
			}
			targets = append(targets, target)
			if _, err := os.Stat(filepath.Join(root, target)); anchor != "" && err == nil && !slices.Contains(anchors(read(t, target)), anchor) {
				t.Errorf("%s links to %s, but %s has no such heading", name, m[1], target)
			}
		}
		for _, m := range path.FindAllStringSubmatch(text, -1) {
			targets = append(targets, m[1])
		}
		for _, target := range targets {
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s names %s: %v", name, target, err)
			}
		}
	}
}

func TestEveryMetricThatIsNamedExistsAndEachOneIsDescribed(t *testing.T) {
	exist := metricNames(t)
	word := regexp.MustCompile(metrics.Namespace + `_\w+`)
	for _, name := range append(documents(t), "configs/prometheus/alerts.yaml", "configs/grafana/dashboard.json") {
		for _, w := range word.FindAllString(read(t, name), -1) {
			base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(w, "_bucket"), "_count"), "_sum")
			if !exist[w] && !exist[base] {
				t.Errorf("%s names %s, which does not exist", name, w)
			}
		}
	}
	reference := read(t, "docs/metrics.md")
	for _, name := range slices.Sorted(maps.Keys(exist)) {
		if !strings.Contains(reference, "| `"+name+"` |") {
			t.Errorf("docs/metrics.md does not describe %s", name)
		}
	}
}

func TestEveryConfigurationKeyThatIsNamedExists(t *testing.T) {
	keys := read(t, "configs/default.yaml")
	key := regexp.MustCompile("`((?:listen|admin|upstreams|routes|rules|dedup|auth|log|shutdown)(?:\\.[a-z_]+)+)(?::[^`]*)?`")
	for _, name := range documents(t) {
		for _, m := range key.FindAllStringSubmatch(read(t, name), -1) {
			for _, part := range strings.Split(m[1], ".") {
				if !strings.Contains(keys, part+":") {
					t.Errorf("%s names %s, but configs/default.yaml has no %s", name, m[1], part)
				}
			}
		}
	}
}

func TestTheReadmeShowsWhatTheDemoPrints(t *testing.T) {
	demo := exec.CommandContext(t.Context(), "go", "run", "./cmd/powerjob-shim", "demo")
	demo.Dir, demo.Stderr = root, os.Stderr
	out, err := demo.Output()
	if err != nil {
		t.Fatal(err)
	}
	if shown := "```text\n" + string(out) + "```"; !strings.Contains(read(t, "README.md"), shown) {
		t.Errorf("README.md does not show this:\n%s", shown)
	}
}

func TestTheConfigurationsInTheReadmeLoad(t *testing.T) {
	loaded := 0
	for _, b := range code(read(t, "README.md")) {
		if b.language != "yaml" || !strings.Contains(b.text, "upstreams:") {
			continue
		}
		file := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(file, []byte(b.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := config.Load(config.Source{File: file}); err != nil {
			t.Errorf("%v\nin:\n%s", err, b.text)
		}
		loaded++
	}
	if loaded == 0 {
		t.Error("the README has no configuration")
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// documents returns the Markdown files at the top and in docs.
func documents(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, dir := range []string{".", "docs"} {
		found, err := filepath.Glob(filepath.Join(root, dir, "*.md"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			names = append(names, filepath.Join(dir, filepath.Base(f)))
		}
	}
	return names
}

type block struct{ language, text string }

// code returns the fenced blocks.
func code(text string) (blocks []block) {
	for i, part := range strings.Split(text, "```") {
		if i%2 == 1 {
			language, text, _ := strings.Cut(part, "\n")
			blocks = append(blocks, block{language, text})
		}
	}
	return blocks
}

// anchors returns what each heading outside of code is linked to by, as GitHub
// makes it.
func anchors(text string) (all []string) {
	for i, part := range strings.Split(text, "```") {
		if i%2 == 1 {
			continue
		}
		for line := range strings.Lines(part) {
			if title := strings.TrimLeft(line, "#"); title != line {
				title = strings.ToLower(strings.TrimSpace(title))
				all = append(all, strings.ReplaceAll(notInAnchor.ReplaceAllString(title, ""), " ", "-"))
			}
		}
	}
	return all
}

var notInAnchor = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)

// headings returns the level of every heading outside of code.
func headings(text string) (levels []int) {
	for i, part := range strings.Split(text, "```") {
		if i%2 == 1 {
			continue
		}
		for line := range strings.Lines(part) {
			if level := len(line) - len(strings.TrimLeft(line, "#")); level > 0 {
				levels = append(levels, level)
			}
		}
	}
	return levels
}

// metricNames asks the collectors, not a scrape: those without series count too.
func metricNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	fqName := regexp.MustCompile(`fqName: "([^"]+)"`)
	metrics.New(describer(func(c prometheus.Collector) {
		descs := make(chan *prometheus.Desc, 8)
		go func() { c.Describe(descs); close(descs) }()
		for d := range descs {
			names[fqName.FindStringSubmatch(d.String())[1]] = true
		}
	}), nil)
	return names
}

// describer is a Registerer that only looks at what is registered.
type describer func(prometheus.Collector)

func (f describer) Register(c prometheus.Collector) error { f(c); return nil }
func (f describer) Unregister(prometheus.Collector) bool  { return false }
func (f describer) MustRegister(cs ...prometheus.Collector) {
	for _, c := range cs {
		f(c)
	}
}
