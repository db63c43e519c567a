package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"
)

// YAML returns the effective configuration. Load makes an equal one of it.
// Values that are empty or off are left out. Secrets written in the file itself
// are shown as "***", which Load refuses; for secrets in files and variables the
// file's or variable's name is shown.
func (c *Config) YAML() ([]byte, error) {
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(encode(reflect.ValueOf(c).Elem())); err != nil {
		return nil, fmt.Errorf("writing the configuration: %w", err)
	}
	if err := encoder.Close(); err != nil {
		return nil, fmt.Errorf("writing the configuration: %w", err)
	}
	return b.Bytes(), nil
}

// Hash returns the first 16 hex digits of the SHA-256 of the effective
// configuration: replicas with the same hash run the same configuration. The
// secrets' values do not go into it, so that it can be shown; Equal compares them.
func (c *Config) Hash() string {
	text, err := c.YAML()
	if err != nil {
		return "" // only a broken writer makes YAML fail
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// Equal reports whether both configurations say the same, the secrets' values included.
func (c *Config) Equal(other *Config) bool {
	a, b := *c, *other
	a.digest, b.digest = [sha256.Size]byte{}, [sha256.Size]byte{}
	a.secrets, b.secrets = nil, nil // their values are also in the keys
	return reflect.DeepEqual(a, b)
}

// encode turns a value into a YAML node. Nil: there is nothing to write.
func encode(v reflect.Value) *yaml.Node {
	switch value := v.Interface().(type) {
	case time.Duration:
		return scalar("!!str", formatDuration(value))
	case Size:
		return scalar("!!str", value.String())
	case Rate:
		return scalar("!!str", value.String())
	case netip.Prefix:
		return scalar("!!str", value.String())
	case Secret:
		return nonEmpty(value.String())
	}
	switch v.Kind() {
	case reflect.String:
		return nonEmpty(v.String())
	case reflect.Bool:
		return scalar("!!bool", strconv.FormatBool(v.Bool()))
	case reflect.Int:
		if v.Int() == 0 { // no key's default is another number and allows 0
			return nil
		}
		return scalar("!!int", strconv.FormatInt(v.Int(), 10))
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return mappingOf(v.Elem()) // {} means on, with the defaults
	case reflect.Struct:
		return omitEmpty(mappingOf(v))
	case reflect.Slice:
		return listOf(v)
	default: // reflect.Map
		entries := &yaml.Node{Kind: yaml.MappingNode}
		for _, name := range sortedNames(v) {
			entries.Content = append(entries.Content, scalar("!!str", name.String()), encode(v.MapIndex(name)))
		}
		return omitEmpty(entries)
	}
}

func listOf(v reflect.Value) *yaml.Node {
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for i := range v.Len() {
		item := encode(v.Index(i))
		if item == nil {
			item = scalar("!!str", "")
		}
		list.Content = append(list.Content, item)
	}
	if v.Type().Elem().Kind() != reflect.Struct {
		list.Style = yaml.FlowStyle
	}
	return omitEmpty(list)
}

func mappingOf(v reflect.Value) *yaml.Node {
	m := &yaml.Node{Kind: yaml.MappingNode}
	fields := fieldsOf(v.Type())
	for _, f := range fields {
		if f.typ == reflect.TypeFor[Secret]() && slices.ContainsFunc(fields, func(other field) bool {
			return (other.key == f.key+"_file" || other.key == f.key+"_env") && !v.Field(other.index).IsZero()
		}) {
			continue // the file or variable is printed instead
		}
		if node := encode(v.Field(f.index)); node != nil {
			m.Content = append(m.Content, scalar("!!str", f.key), node)
		}
	}
	return m
}

func scalar(tag, value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value}
}

func nonEmpty(text string) *yaml.Node {
	if text == "" {
		return nil
	}
	node := scalar("!!str", text)
	if slices.Contains([]string{"off", "on", "no", "yes"}, text) {
		node.Style = yaml.DoubleQuotedStyle // else a YAML 1.1 reader sees a truth value
	}
	return node
}

func omitEmpty(n *yaml.Node) *yaml.Node {
	if len(n.Content) == 0 {
		return nil
	}
	return n
}
