package config

import (
	"cmp"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The fields of this package's structs are the one table of keys. A field's
// comment is the key's description in schema.json, and its first paragraph is the
// comment behind the key in default.yaml. Its tags are
//
//	yaml     the key
//	default  the value where none is given, as it is written in a file; items of a list with commas between them
//	choice   the allowed words, with commas between them
//	min      the least number, duration, size or rate; 1 also means "more than 0"
//	example  what to write instead of a value that is too small; without it, the default
//	file     "true": it names a file, which must be readable
//	modes    the values of the same struct's mode with which the key may be given, and has a default
//	restart  "true": a change waits for the next start
//
// Decoding, defaults, the checks of a single value, RestartNeeded, schema.json
// and printing use this table. default.yaml is written by hand for people; tests
// hold it to the table.
type field struct {
	key   string
	index int
	typ   reflect.Type
	tag   reflect.StructTag
}

// fieldsOf returns the keys that a struct has in a file, in order.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		f := t.Field(i)
		if key := f.Tag.Get("yaml"); key != "" && key != "-" {
			fields = append(fields, field{key, i, f.Type, f.Tag})
		}
	}
	return fields
}

// list returns the items of a tag. Nil: the field has no such tag.
func (f field) list(tag string) []string {
	if text := f.tag.Get(tag); text != "" {
		return strings.Split(text, ",")
	}
	return nil
}

// hasMode reports whether the key may be given with the mode of its struct, in.
func (f field) hasMode(in reflect.Value) bool {
	modes := f.list("modes")
	return modes == nil || slices.Contains(modes, in.FieldByName("Mode").String())
}

// eachKey calls visit for every key below path that can have a value, with the
// struct and the field that hold it. There are no keys below a nil pointer.
func eachKey(path string, in reflect.Value, visit func(path string, in reflect.Value, f field)) {
	switch in.Kind() {
	case reflect.Pointer:
		if !in.IsNil() {
			eachKey(path, in.Elem(), visit)
		}
	case reflect.Slice:
		for i := range in.Len() {
			eachKey(index(path, i), in.Index(i), visit)
		}
	case reflect.Map:
		for _, name := range sortedNames(in) {
			entry := reflect.New(in.Type().Elem()).Elem() // a map's own entries cannot be set
			entry.Set(in.MapIndex(name))
			eachKey(join(path, name.String()), entry, visit)
			in.SetMapIndex(name, entry)
		}
	case reflect.Struct:
		for _, f := range fieldsOf(in.Type()) {
			visit(join(path, f.key), in, f)
			eachKey(join(path, f.key), in.Field(f.index), visit)
		}
	}
}

// sortedNames returns the keys of a map, which are strings, in order.
func sortedNames(m reflect.Value) []reflect.Value {
	names := m.MapKeys()
	slices.SortFunc(names, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	return names
}

// applyDefaults fills in the values that no file, variable or flag gives. given
// reports whether a path has a value.
func applyDefaults(cfg *Config, given func(path string) bool) {
	parse := &decoder{report: new(report)}
	eachKey("", reflect.ValueOf(cfg).Elem(), func(path string, in reflect.Value, f field) {
		if text := f.tag.Get("default"); text != "" && !given(path) && f.hasMode(in) {
			parse.value(path, f.written(text), in.Field(f.index))
		}
	})
	derivedDefaults(cfg, given)
}

// derivedDefaults fills in the defaults that depend on other keys.
func derivedDefaults(cfg *Config, given func(path string) bool) {
	var only string // the only group
	for name, u := range cfg.Upstreams {
		only = name
		path := join("upstreams", name)
		set(given, path+".openapi_prefix", &u.OpenAPIPrefix, u.ContextPath()+"/openApi")
		if u.Health != nil && u.Health.Active != nil {
			if a := u.Health.Active; a.Interval > 0 {
				set(given, path+".health.active.timeout", &a.Timeout, min(a.Timeout, a.Interval))
			}
		}
		cfg.Upstreams[name] = u
	}
	for i := range cfg.Routes {
		if len(cfg.Upstreams) == 1 {
			set(given, index("routes", i)+".upstream", &cfg.Routes[i].Upstream, only)
		}
	}
}

func set[T any](given func(string) bool, path string, value *T, def T) {
	if !given(path) {
		*value = def
	}
}

// written returns a tag's text in the form that a layer has the key's value in.
func (f field) written(text string) any {
	switch f.typ.Kind() {
	case reflect.Bool:
		return text == "true"
	case reflect.Int:
		n, _ := strconv.ParseInt(text, 10, 64) // a test reads every tag
		return n
	case reflect.Slice:
		var items []any
		for item := range strings.SplitSeq(text, ",") {
			items = append(items, item)
		}
		return items
	}
	return text
}

// keys checks every value by its own tags.
func (v *validator) keys() {
	eachKey("", reflect.ValueOf(v.cfg).Elem(), func(path string, in reflect.Value, f field) {
		value := in.Field(f.index)
		if mode := in.FieldByName("Mode"); !f.hasMode(in) {
			if v.given(path) && mode.String() != "" {
				v.bad(path, "is for mode %s; take it away, or change the mode (%s)", strings.Join(f.list("modes"), " and "), mode)
			}
			return
		}
		if words := f.list("choice"); words != nil {
			v.words(path, value, words)
		}
		if f.tag.Get("file") != "" {
			v.readable(path, value.String())
		}
		if least := f.tag.Get("min"); least != "" {
			v.least(path, value, least, cmp.Or(f.tag.Get("example"), f.tag.Get("default")))
		}
	})
}

// words checks that a key, or each item of a list, is one of the allowed words.
func (v *validator) words(path string, value reflect.Value, allowed []string) {
	if value.Kind() == reflect.Slice {
		for i := range value.Len() {
			v.words(index(path, i), value.Index(i), allowed)
		}
		return
	}
	word := value.String()
	if slices.Contains(allowed, word) {
		return
	}
	last := len(allowed) - 1
	list := strings.Join(allowed[:last], ", ") + " or " + allowed[last]
	if word == "" {
		v.bad(path, "is missing; write %s", list)
		return
	}
	v.bad(path, "%q is not known; write %s", word, list)
}

// least checks a number against its tag min.
func (v *validator) least(path string, value reflect.Value, text, example string) {
	least, _ := strconv.ParseInt(text, 10, 64) // a test reads every tag
	switch n := value.Int(); {
	case n >= least:
	case value.Kind() == reflect.Int:
		v.bad(path, "%d is too small; write %d or more", n, least)
	case least > 0:
		v.bad(path, "must be more than 0; write for example %s", example)
	case value.Type() == reflect.TypeFor[time.Duration]():
		v.bad(path, "must not be negative; write 0 or more")
	default:
		v.bad(path, "must not be negative; write for example %s", example)
	}
}
