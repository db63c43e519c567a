package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Bounds on the memory that a file can cost. A real configuration is a hundredth
// of them; aliases of aliases make any number of nodes in a few lines.
const (
	maxFileBytes = 1 << 20
	maxNodes     = 10_000
	maxDepth     = 32
)

// layer is one source of values, before they are merged. Its values are nil,
// string, bool, int64, float64, []any, map[string]any, or unusable.
type layer struct {
	name   string // the file's; empty for other sources
	values map[string]any
	places places
}

// unusable replaces a value whose problem has already been reported.
type unusable struct{}

func newLayer(name string) *layer {
	return &layer{name: name, values: map[string]any{}, places: places{"": {source: name}}}
}

// parseYAML reads a file's content. Syntax errors, keys given twice and the like are reported.
func parseYAML(name string, content []byte, r *report) *layer {
	l := newLayer(name)
	c := &converter{layer: l, report: r, open: map[*yaml.Node]bool{}}
	if len(content) > maxFileBytes {
		c.fail("", 0, "is larger than %s", Size(maxFileBytes))
		return l
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var document, next yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return l // an empty file changes nothing
	case err != nil:
		c.syntax(err)
		return l
	}
	switch err := decoder.Decode(&next); {
	case errors.Is(err, io.EOF):
	case err != nil:
		c.syntax(err)
		return l
	default:
		c.fail("", next.Line, "a second document begins here; write one only, without ---")
	}
	root := document.Content[0]
	if root.Kind != yaml.MappingNode {
		if root.ShortTag() != "!!null" {
			c.fail("", root.Line, "must be a mapping of keys; write for example upstreams: {default: {servers: [\"http://HOST:7700\"]}}")
		}
		return l
	}
	if values, ok := c.value("", root).(map[string]any); ok {
		l.values = values
	}
	l.places[""] = place{source: name}
	return l
}

// converter turns YAML nodes into plain values and notes their places.
type converter struct {
	layer  *layer
	report *report
	nodes  int
	depth  int
	open   map[*yaml.Node]bool // anchors being expanded
}

func (c *converter) fail(path string, line int, format string, args ...any) any {
	c.report.fail(place{c.layer.name, line}, path, format, args...)
	return unusable{}
}

var (
	yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)`)
	// In its parser's errors, unlike in its scanner's, the library counts lines from 0.
	yamlParserError = regexp.MustCompile(`^(did not find expected (<|'-'|','|key|node content)|found (undefined|duplicate|incompatible) )`)
)

func (c *converter) syntax(err error) {
	text, line := err.Error(), 0
	if m := yamlError.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1]) // "" is no line
		text = m[2]
		if yamlParserError.MatchString(text) {
			line++
		}
	}
	c.fail("", line, "is not valid YAML: %s", text)
}

func (c *converter) value(path string, n *yaml.Node) any {
	c.nodes++
	if c.nodes > maxNodes {
		if c.nodes == maxNodes+1 {
			c.fail("", n.Line, "grows beyond %d values; use fewer aliases", maxNodes)
		}
		return unusable{}
	}
	if c.depth > maxDepth {
		return c.fail(path, n.Line, "is nested more than %d deep", maxDepth)
	}
	c.depth++
	defer func() { c.depth-- }()

	if _, ok := c.layer.places[path]; !ok {
		c.layer.places[path] = place{c.layer.name, n.Line}
	}
	switch n.Kind {
	case yaml.MappingNode:
		return c.mapping(path, n)
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			list[i] = c.value(index(path, i), item)
		}
		return list
	case yaml.AliasNode:
		if c.open[n.Alias] {
			return c.fail(path, n.Line, "the alias *%s contains itself", n.Value)
		}
		c.open[n.Alias] = true
		defer delete(c.open, n.Alias)
		return c.value(path, n.Alias)
	default:
		return c.scalar(path, n)
	}
}

func (c *converter) mapping(path string, n *yaml.Node) any {
	values := make(map[string]any, len(n.Content)/2)
	lines := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			c.fail(path, key.Line, "a key must be a plain word")
			continue
		}
		sub := join(path, key.Value)
		if key.ShortTag() == "!!merge" {
			c.fail(sub, key.Line, "merge keys are not supported; write the keys out, or use an alias for a whole value")
			continue
		}
		if first, twice := lines[key.Value]; twice {
			c.report.add(place{c.layer.name, key.Line}, sub, "is given twice, first on line %d; keep one", first)
			continue
		}
		lines[key.Value] = key.Line
		c.layer.places[sub] = place{c.layer.name, key.Line}
		values[key.Value] = c.value(sub, value)
	}
	return values
}

func (c *converter) scalar(path string, n *yaml.Node) any {
	switch tag := n.ShortTag(); tag {
	case "!!null":
		return nil
	case "!!str", "!!timestamp":
		return n.Value
	case "!!bool":
		return strings.EqualFold(n.Value, "true")
	case "!!int", "!!float":
		var number any
		if err := n.Decode(&number); err != nil {
			return c.fail(path, n.Line, "%q is not a number", n.Value)
		}
		switch number := number.(type) {
		case int:
			return int64(number)
		case int64:
			return number
		case float64:
			return number
		}
		return c.fail(path, n.Line, "the number %s is too large", n.Value)
	default:
		return c.fail(path, n.Line, "the tag %s is not supported; leave it out", tag)
	}
}

// describe names a value in a message.
func describe(value any) string {
	switch value := value.(type) {
	case nil:
		return "nothing"
	case string:
		return strconv.Quote(value)
	case bool:
		return strconv.FormatBool(value)
	case int64, float64:
		return fmt.Sprintf("the number %v", value)
	case []any:
		return "a list"
	default:
		return "a mapping"
	}
}
