package config

import (
	"reflect"
	"slices"
	"strings"
)

// choices checks every key that takes one of a few words: its field's tag
// choice lists them, and schema.json has them from there.
func (v *validator) choices(path string, of reflect.Value) {
	switch of.Kind() {
	case reflect.Pointer:
		if !of.IsNil() {
			v.choices(path, of.Elem())
		}
	case reflect.Slice:
		for i := range of.Len() {
			v.choices(index(path, i), of.Index(i))
		}
	case reflect.Map:
		for _, name := range of.MapKeys() {
			v.choices(join(path, name.String()), of.MapIndex(name))
		}
	case reflect.Struct:
		for _, f := range fieldsOf(of.Type()) {
			v.choicesOf(join(path, f.key), of.Field(f.index), of.Type().Field(f.index).Tag.Get("choice"))
		}
	}
}

// choicesOf checks one key; words are those that its tag lists, "" where any value
// may be there.
func (v *validator) choicesOf(path string, value reflect.Value, words string) {
	if words == "" {
		v.choices(path, value)
		return
	}
	allowed := strings.Split(words, ",")
	if value.Kind() == reflect.String {
		v.choice(path, value.String(), allowed)
		return
	}
	for i := range value.Len() {
		v.choice(index(path, i), value.Index(i).String(), allowed)
	}
}

func (v *validator) choice(path, value string, allowed []string) {
	if slices.Contains(allowed, value) {
		return
	}
	last := len(allowed) - 1
	list := strings.Join(allowed[:last], ", ") + " or " + allowed[last]
	if value == "" {
		v.bad(path, "is missing; write %s", list)
		return
	}
	v.bad(path, "%q is not known; write %s", value, list)
}
