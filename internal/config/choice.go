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
			at, value := join(path, f.key), of.Field(f.index)
			words := of.Type().Field(f.index).Tag.Get("choice")
			if words == "" {
				v.choices(at, value)
				continue
			}
			allowed := strings.Split(words, ",")
			if value.Kind() == reflect.String {
				v.choice(at, value.String(), allowed)
				continue
			}
			for i := range value.Len() {
				v.choice(index(at, i), value.Index(i).String(), allowed)
			}
		}
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
