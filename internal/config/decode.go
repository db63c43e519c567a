package config

import (
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"
)

// decode turns a layer's values into a Config and reports wrong types and unknown
// keys. It does so by hand, not with mapstructure, because every problem must be
// reported with its place.
func decode(l *layer, r *report) *Config {
	cfg := new(Config)
	d := &decoder{places: l.places, report: r}
	d.value("", l.values, reflect.ValueOf(cfg).Elem())
	return cfg
}

type decoder struct {
	places places
	report *report
}

func (d *decoder) fail(path, format string, args ...any) {
	d.report.fail(d.places.of(path), path, format, args...)
}

// written decodes the types that are written as text in a form of their own.
// False: target has none of these types, and nothing was decoded.
func (d *decoder) written(path string, in, target any) bool {
	switch target := target.(type) {
	case *time.Duration:
		text(d, path, in, "a duration such as 5s", parseDuration, target)
	case *Size:
		text(d, path, in, "a size such as 64MiB", parseSize, target)
	case *Rate:
		text(d, path, in, "a rate such as 100B/s", parseRate, target)
	case *netip.Prefix:
		text(d, path, in, "an address range such as 10.0.0.0/8", parsePrefix, target)
	case *Secret:
		value, ok := in.(string)
		if !ok {
			d.fail(path, "must be text; put it in quotes") // the secret is not shown
		}
		*target = Secret(value)
	default:
		return false
	}
	return true
}

// value decodes in into out. Where it fails, out keeps its zero value.
func (d *decoder) value(path string, in any, out reflect.Value) {
	if _, reported := in.(unusable); reported {
		return
	}
	if in == nil {
		d.fail(path, "has no value; write one, or take the key away")
		return
	}
	if d.written(path, in, out.Addr().Interface()) {
		return
	}
	if _, one := in.(string); one && out.Type() == reflect.TypeFor[OneOrMore]() {
		in = []any{in}
	}
	switch out.Kind() {
	case reflect.Struct:
		d.structure(path, in, out)
	case reflect.Pointer:
		out.Set(reflect.New(out.Type().Elem()))
		d.value(path, in, out.Elem())
	case reflect.Slice:
		list, ok := in.([]any)
		if !ok {
			d.fail(path, "must be a list, not %s; write [...]", d.describe(path, in))
			return
		}
		out.Set(reflect.MakeSlice(out.Type(), len(list), len(list)))
		for i, item := range list {
			d.value(index(path, i), item, out.Index(i))
		}
	case reflect.Map:
		entries, ok := in.(map[string]any)
		if !ok {
			d.fail(path, "must be a mapping of names, not %s", d.describe(path, in))
			return
		}
		out.Set(reflect.MakeMap(out.Type()))
		for _, name := range slices.Sorted(maps.Keys(entries)) {
			entry := reflect.New(out.Type().Elem()).Elem()
			d.value(join(path, name), entries[name], entry)
			out.SetMapIndex(reflect.ValueOf(name), entry)
		}
	default:
		d.scalar(path, in, out)
	}
}

func (d *decoder) structure(path string, in any, out reflect.Value) {
	entries, ok := in.(map[string]any)
	fields := fieldsOf(out.Type())
	if !ok {
		d.fail(path, "must be a mapping with keys such as %s, not %s", fields[0].key, d.describe(path, in))
		return
	}
	known := make([]string, len(fields))
	for i, f := range fields {
		known[i] = f.key
	}
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		if !slices.Contains(known, key) {
			d.unknown(path, key, known, entries)
		}
	}
	for _, f := range fields {
		if value, given := entries[f.key]; given {
			d.value(join(path, f.key), value, out.Field(f.index))
		}
	}
}

func (d *decoder) unknown(path, key string, known []string, entries map[string]any) {
	sub := join(path, key)
	if path == "" && key == "login_bridge" {
		d.fail(sub, "belongs to an upstream group; write it as upstreams.default.login_bridge")
		return
	}
	if near, ok := nearest(key, known); ok {
		d.fail(sub, "unknown key; did you mean %s?", near)
		if _, given := entries[near]; !given { // do not also say that it is missing
			d.report.mark(d.places.of(sub).source, join(path, near))
		}
		return
	}
	d.fail(sub, "unknown key; the keys here are %s", strings.Join(known, ", "))
}

// describe is the function describe, but it does not show values that may be
// secrets in the wrong place: a password where the list of addresses belongs.
func (d *decoder) describe(path string, in any) string {
	switch in.(type) {
	case string:
		if besideSecrets(path) {
			return "text"
		}
	case int64, float64:
		if besideSecrets(path) {
			return "a number"
		}
	}
	return describe(in)
}

// besideSecrets reports whether the part of the configuration that path is in has
// secrets.
func besideSecrets(path string) bool {
	return strings.HasPrefix(path, "dedup.redis") || strings.Contains(path, ".login_bridge")
}

func (d *decoder) scalar(path string, in any, out reflect.Value) {
	switch out.Kind() {
	case reflect.String:
		if value, ok := in.(string); ok {
			out.SetString(value)
			return
		}
		switch in.(type) {
		case bool, int64, float64:
			if besideSecrets(path) {
				d.fail(path, "must be text; put it in quotes")
				return
			}
			d.fail(path, "must be text, not %s; put it in quotes: \"%v\"", d.describe(path, in), in)
		default:
			d.fail(path, "must be text, not %s", d.describe(path, in))
		}
	case reflect.Bool:
		if value, ok := in.(bool); ok {
			out.SetBool(value)
			return
		}
		d.fail(path, "must be true or false, not %s", d.describe(path, in))
	case reflect.Int:
		if value, ok := in.(int64); ok {
			out.SetInt(value)
			return
		}
		d.fail(path, "must be a whole number, not %s", d.describe(path, in))
	default:
		panic(fmt.Sprintf("configs: %s has the type %s, which decode does not know", path, out.Type()))
	}
}

// text decodes a value that is written as a string or, without its unit, as a number.
func text[T any](d *decoder, path string, in any, want string, parse func(string) (T, error), out *T) {
	switch in.(type) {
	case string, int64, float64:
	default:
		d.fail(path, "must be %s, not %s", want, d.describe(path, in))
		return
	}
	value, err := parse(fmt.Sprint(in))
	if err != nil {
		d.fail(path, "%v", err)
		return
	}
	*out = value
}

func parsePrefix(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is not an address range; write for example 10.0.0.0/8", text)
	}
	if prefix.Addr().Is4In6() { // no address matches it
		return netip.Prefix{}, fmt.Errorf("%q has IPv4 addresses inside IPv6; write for example 10.0.0.0/8", text)
	}
	if prefix != prefix.Masked() {
		return netip.Prefix{}, fmt.Errorf("%q has bits behind the /%d; write %s", text, prefix.Bits(), prefix.Masked())
	}
	return prefix, nil
}

// nearest returns the candidate that was most likely meant by a misspelt word.
func nearest(word string, candidates []string) (string, bool) {
	limit := 2 // a letter forgotten, or two swapped
	switch {
	case len(word) < 4:
		limit = 1
	case len(word) > 12:
		limit = 3
	}
	best, bestDistance := "", limit+1
	for _, c := range candidates {
		if d := distance(word, c); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best, best != ""
}

// distance is Levenshtein's: how many letters to insert, delete or replace.
func distance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
