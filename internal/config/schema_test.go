package config

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"powerjob-shim/configs"
)

// TestTheSchemaIsThatOfTheTypes holds schema.json to the types, their comments
// and tags; -update writes it.
func TestTheSchemaIsThatOfTheTypes(t *testing.T) {
	g := generator{comments: commentsOf(t)}
	schema := g.object(reflect.TypeFor[Config]())
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	schema["title"] = "powerjob-shim's configuration"
	got, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile("../../configs/schema.json", got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got, configs.Schema()) {
		t.Error("schema.json is not that of the types; run go test ./internal/config -run Schema -update")
	}
}

// generator makes schemas from types.
type generator struct {
	comments map[string]string // by type and field: "Listener.Address"
}

type schema = map[string]any

func (g generator) object(of reflect.Type) schema {
	properties := schema{}
	for _, f := range fieldsOf(of) {
		property := g.of(f.typ, f)
		name := of.Field(f.index).Name
		if text := g.comments[of.Name()+"."+name]; text != "" {
			property["description"] = regexp.MustCompile("^"+name+`\b`).ReplaceAllString(strings.ReplaceAll(text, "\n", " "), f.key)
		}
		if text := f.tag.Get("default"); text == "0" {
			property["default"] = 0
		} else if text != "" {
			property["default"] = f.written(text)
		}
		if least := f.tag.Get("min"); least != "" && f.typ.Kind() == reflect.Int {
			property["minimum"] = json.Number(least)
		}
		properties[f.key] = property
	}
	return schema{"type": "object", "additionalProperties": false, "properties": properties}
}

func (g generator) of(of reflect.Type, f field) schema {
	switch of {
	case reflect.TypeFor[time.Duration]():
		return orZero(`^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$`)
	case reflect.TypeFor[Size]():
		return orZero(`^\d+(B|KiB|MiB|GiB)$`)
	case reflect.TypeFor[Rate]():
		return orZero(`^\d+(B|KiB|MiB|GiB)(/s)?$`)
	case reflect.TypeFor[netip.Prefix]():
		return schema{"type": "string"}
	case reflect.TypeFor[OneOrMore]():
		return schema{"anyOf": []any{schema{"type": "string"}, schema{"type": "array", "items": schema{"type": "string"}}}}
	}
	switch of.Kind() {
	case reflect.Pointer:
		return g.of(of.Elem(), f)
	case reflect.Struct:
		return g.object(of)
	case reflect.Slice:
		return schema{"type": "array", "items": g.of(of.Elem(), f)}
	case reflect.Map:
		return schema{"type": "object", "additionalProperties": g.of(of.Elem(), f)}
	case reflect.Bool:
		return schema{"type": "boolean"}
	case reflect.Int:
		return schema{"type": "integer"}
	}
	out := schema{"type": "string"}
	if words := f.list("choice"); words != nil {
		out["enum"] = words
	}
	return out
}

// orZero returns the schema of a text with this pattern, or the number 0, which needs
// no unit.
func orZero(pattern string) schema {
	return schema{"anyOf": []any{schema{"type": "string", "pattern": pattern}, schema{"const": 0}}}
}

// commentsOf returns the comments of the package's fields, each paragraph as one line.
func commentsOf(t *testing.T) map[string]string {
	t.Helper()
	comments := map[string]string{}
	files, err := filepath.Glob("config*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if s, ok := spec.Type.(*ast.StructType); ok {
				for _, f := range s.Fields.List {
					for _, name := range f.Names {
						text := f.Doc.Text()
						if text == "" {
							text = f.Comment.Text()
						}
						paragraphs := strings.Split(text, "\n\n")
						for i, p := range paragraphs {
							paragraphs[i] = strings.Join(strings.Fields(p), " ")
						}
						comments[spec.Name.Name+"."+name.Name] = strings.Join(paragraphs, "\n")
					}
				}
			}
			return true
		})
	}
	return comments
}

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(configs.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", parsed); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// instance reads YAML into the types of decoded JSON, which the schema's validator
// needs.
func instance(t *testing.T, text []byte) (any, error) {
	t.Helper()
	var value any
	if err := yaml.Unmarshal(text, &value); err != nil {
		return nil, err
	}
	asJSON, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
}

// Every file that users copy fits the schema, and tells editors where the schema is.
func TestWhatUsersCopyFitsTheSchema(t *testing.T) {
	s := compileSchema(t)
	n := 0
	err := filepath.WalkDir("../../configs", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == "testdata" || d.Name() == "grafana" || d.Name() == "prometheus" || d.Name() == "chart" {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(file) != ".yaml" {
			return nil
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if !regexp.MustCompile(`(?m)^(upstreams|dedup):`).Match(text) {
			return nil // it is about something else
		}
		n++
		value, err := instance(t, text)
		if err != nil {
			return err
		}
		if err := s.Validate(value); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		dir, err := filepath.Rel(filepath.Dir(file), "../../configs")
		if err != nil {
			return err
		}
		if want := "# yaml-language-server: $schema=" + filepath.ToSlash(filepath.Join(dir, "schema.json")) + "\n"; !strings.Contains(string(text), want) {
			t.Errorf("%s has no line %s", file, want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n < 8 {
		t.Errorf("found only %d files", n)
	}
	for name, text := range map[string]string{"all keys": everything, "numbers without a unit": "shutdown: {grace: 0}\nmax_body: 0"} {
		if value, err := instance(t, []byte(text)); err != nil || s.Validate(value) != nil {
			t.Errorf("%s: %v, %v", name, err, s.Validate(value))
		}
	}
}

// The schema refuses what it can recognise: an unknown key, a wrong type, a word that
// is not one of the choices.
func TestTheSchemaRefuses(t *testing.T) {
	s := compileSchema(t)
	for _, text := range []string{
		"banana: 1", "listen: [{where: ':1'}]", "mode: obey", "dedup: {max_entries: many}", "dedup: {max_body: 5}", "dedup: {max_body: 5MB}",
		"upstreams: {a: {timeout: 5}}", "upstreams: {a: {timeout: 5 s}}", "upstreams: {a: {servers: http://a}}", "upstreams: []",
		"rules: [{dedup: {match: similar}}]", "log: {access: often}", "admin: {ready: some}", "listen: [{tls: {mode: acme, challenges: [dns-01]}}]",
	} {
		value, err := instance(t, []byte(text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if s.Validate(value) == nil {
			t.Errorf("the schema takes %s", text)
		}
	}
}
