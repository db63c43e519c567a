package config

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"powerjob-shim/configs"
)

// tableKeys calls visit for each key of the types, with "*" for names and items in its
// path, and the type that has it.
func tableKeys(path string, of reflect.Type, visit func(path string, in reflect.Type, f field)) {
	switch of.Kind() {
	case reflect.Pointer:
		tableKeys(path, of.Elem(), visit)
	case reflect.Slice:
		tableKeys(path, of.Elem(), visit)
	case reflect.Map:
		tableKeys(join(path, "*"), of.Elem(), visit)
	case reflect.Struct:
		for _, f := range fieldsOf(of) {
			visit(join(path, f.key), of, f)
			tableKeys(join(path, f.key), f.typ, visit)
		}
	}
}

// Each tag has a valid value, and no field has a tag that nothing reads.
func TestEveryTagIsUnderstood(t *testing.T) {
	known := []string{"yaml", "default", "choice", "min", "example", "file", "modes", "restart"}
	tableKeys("", reflect.TypeFor[Config](), func(path string, _ reflect.Type, f field) {
		for _, m := range regexp.MustCompile(`(\w+):"([^"]*)"`).FindAllStringSubmatch(string(f.tag), -1) {
			if !slices.Contains(known, m[1]) || m[2] == "" {
				t.Errorf("%s: the tag %s", path, m[0])
			}
		}
		if text := f.tag.Get("default"); text != "" {
			d := &decoder{report: new(report)}
			value := reflect.New(f.typ).Elem()
			d.value(path, f.written(text), value)
			for _, p := range d.report.problems {
				t.Errorf("%s: its default: %v", path, p)
			}
			if words := f.list("choice"); words != nil && f.typ.Kind() == reflect.String && !slices.Contains(words, text) {
				t.Errorf("%s: %q is none of %v", path, text, words)
			}
		}
		if text := f.tag.Get("min"); text != "" {
			if _, err := strconv.ParseInt(text, 10, 64); err != nil || !reflect.New(f.typ).Elem().CanInt() {
				t.Errorf("%s: min %q of a %v: %v", path, text, f.typ, err)
			}
		}
	})
}

// mention is a key in default.yaml, commented out or not.
type mention struct {
	line    string
	value   any
	restart bool   // it is marked with (restart)
	comment string // behind it on its line, without the mark; "" for keys within braces
}

// mentions reads default.yaml line by line, including what is commented out. The parent
// of a line is the nearest line above it that is indented less and can have keys below
// it.
func mentions(t *testing.T, text string) map[string][]mention {
	t.Helper()
	fields := map[string]field{}
	tableKeys("", reflect.TypeFor[Config](), func(path string, _ reflect.Type, f field) { fields[path] = f })
	type open struct {
		indent int
		path   string
	}
	var parents []open
	found := map[string][]mention{}
	line := regexp.MustCompile(`^([\s#-]*)([a-z0-9_]+):(?:\s+([^#\s].*?))??(\s+# .*)?$`)
	var above string
	for l := range strings.Lines(text) {
		l = strings.TrimRight(l, "\n")
		before := above
		above = l
		m := line.FindStringSubmatch(l)
		if m == nil {
			continue
		}
		indent := len(m[1])
		kept := parents
		for len(kept) > 0 && kept[len(kept)-1].indent >= indent {
			kept = kept[:len(kept)-1]
		}
		parent := ""
		if len(kept) > 0 {
			parent = kept[len(kept)-1].path
		}
		path := join(parent, m[2])
		if _, ok := fields[path]; !ok {
			if path = join(parent, "*"); parent != "upstreams" {
				continue // prose
			}
		}
		parents = kept
		var value any
		if err := yaml.Unmarshal([]byte(m[3]), &value); err != nil {
			t.Fatalf("%s: %v", l, err)
		}
		if m[3] == "" || strings.ContainsAny(m[3][:1], "{[") {
			parents = append(parents, open{indent, path})
		}
		marked := strings.HasSuffix(l, "(restart)") || strings.HasPrefix(before, "#") && strings.HasSuffix(before, "(restart)")
		comment := strings.TrimSpace(strings.TrimSuffix(strings.TrimLeft(m[4], " #"), "(restart)"))
		note(found, path, mention{l, value, marked, comment})
	}
	return found
}

func note(found map[string][]mention, path string, m mention) {
	found[path] = append(found[path], m)
	items, list := m.value.([]any)
	if !list {
		items = []any{m.value}
	}
	for _, item := range items {
		if below, ok := item.(map[string]any); ok {
			for key, value := range below {
				note(found, join(path, key), mention{line: m.line, value: value})
			}
		}
	}
}

// default.yaml is for people and the tags are for the program: they say the same about
// defaults, choices and restarts.
func TestDefaultYAMLSaysWhatTheTableSays(t *testing.T) {
	found := mentions(t, string(configs.DefaultYAML()))
	seen := 0
	tableKeys("", reflect.TypeFor[Config](), func(path string, _ reflect.Type, f field) {
		def := f.tag.Get("default")
		if def != "" && found[path] == nil {
			t.Errorf("%s and its default %s are not in default.yaml", path, def)
		}
		for _, word := range f.list("choice") {
			if !slices.ContainsFunc(found[path], func(m mention) bool { return strings.Contains(m.line, word) }) {
				t.Errorf("%s may be %s, which default.yaml does not say", path, word)
			}
		}
		for _, m := range found[path] {
			seen++
			value := fmt.Sprint(m.value)
			if list, ok := m.value.([]any); ok {
				value = strings.Trim(strings.ReplaceAll(fmt.Sprint(list), " ", ","), "[]")
			}
			if def != "" && value != def && !strings.HasPrefix(path, "rules.") {
				t.Errorf("%s is %s in default.yaml, and %s by its tag", path, value, def)
			}
			if restart := f.tag.Get("restart") != ""; restart != m.restart {
				t.Errorf("%s: marked (restart) %v, by its tag %v", path, m.restart, restart)
			}
		}
	})
	if seen < 90 {
		t.Errorf("found only %d keys", seen)
	}
}

// The comment behind a key in default.yaml is the first paragraph of its field's
// comment, with which the key's description in the schema begins.
func TestDefaultYAMLSaysWhatTheFieldsSay(t *testing.T) {
	apart := map[string]string{ // by key: what default.yaml says instead
		"mode":                          "the other value; what it means is said above it",
		"listen.tls.files":              "which mode it is of",
		"listen.tls.domains":            "which mode it is of",
		"listen.tls.challenges":         "which mode it is of",
		"listen.tls.names":              "which mode it is of",
		"listen.tls.storage":            "which modes it is of",
		"upstreams.*.tls.pin_sha256":    "where it belongs",
		"upstreams.*.health.active":     "another value of a key within it",
		"upstreams.*.login_bridge.apps": "what an app has",
		"rules.dedup":                   "what a mode within it means",
	}
	found, comments := mentions(t, string(configs.DefaultYAML())), commentsOf(t)
	compared := 0
	tableKeys("", reflect.TypeFor[Config](), func(path string, in reflect.Type, f field) {
		name := in.Field(f.index).Name
		sentence, _, _ := strings.Cut(comments[in.Name()+"."+name], "\n")
		sentence = strings.TrimSuffix(strings.TrimPrefix(sentence, name+": "), ".")
		for _, m := range found[path] {
			if m.comment == "" || apart[path] != "" {
				continue
			}
			if compared++; m.comment != sentence {
				t.Errorf("%s: default.yaml says\n\t%s\nand the comment of %s.%s begins with\n\t%s", path, m.comment, in.Name(), name, sentence)
			}
		}
	})
	if compared < 45 {
		t.Errorf("compared only %d comments", compared)
	}
}
