package config

import (
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/knadh/koanf/providers/posflag"
	"github.com/spf13/pflag"
)

// shortcuts are the flags and the keys that they set. Each is a variable too:
// --log-level and POWERJOB_SHIM_LOG_LEVEL. The * of --upstream is the name of the
// only group, or "default".
var shortcuts = []struct{ flag, path, usage string }{
	{"listen", "listen", "`address` for clients; may be repeated (default :7700)"},
	{"upstream", "upstreams.*.servers", "`URL` of a PowerJob server, or several with commas between; may be repeated"},
	{"admin", "admin.address", "`address` for metrics and health (default 127.0.0.1:9700)"},
	{"log-level", "log.level", "debug, info, warn or error (default info)"},
	{"log-format", "log.format", "json or console (default: console on a terminal, else json)"},
}

// AddFlags defines the flags that Load reads.
func AddFlags(flags *pflag.FlagSet) {
	for _, s := range shortcuts {
		switch s.flag {
		case "listen", "upstream":
			flags.StringArray(s.flag, nil, s.usage)
		default:
			flags.String(s.flag, "", s.usage)
		}
	}
}

// readFlags returns the flags that were set.
func readFlags(flags *pflag.FlagSet, group string) *layer {
	l := newLayer("")
	if flags == nil {
		return l
	}
	// The provider's error is always nil; its map is nested by the dots.
	l.values, _ = posflag.ProviderWithFlag(flags, ".", nil, func(f *pflag.Flag) (string, any) {
		for _, s := range shortcuts {
			if s.flag != f.Name || !f.Changed {
				continue
			}
			path := strings.Replace(s.path, "*", group, 1)
			l.places[path] = place{source: "--" + f.Name}
			t, _ := keyType(strings.Split(path, "."))
			if list, ok := f.Value.(pflag.SliceValue); ok {
				return path, fromList(t, list.GetSlice())
			}
			return path, fromText(t, f.Value.String())
		}
		return "", nil
	}).Read()
	return l
}

// keyType returns the type of the key with this path, which has no list indexes.
func keyType(keys []string) (reflect.Type, bool) {
	t := reflect.TypeFor[Config]()
	for _, key := range keys {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		switch t.Kind() {
		case reflect.Struct:
			fields := fieldsOf(t)
			i := slices.IndexFunc(fields, func(f field) bool { return f.key == key })
			if i < 0 {
				return nil, false
			}
			t = fields[i].typ
		case reflect.Map:
			if !groupName.MatchString(key) {
				return nil, false
			}
			t = t.Elem()
		default:
			return nil, false
		}
	}
	return t, true
}

// settable reports whether one variable can hold a whole value of the type: of
// plain types, lists of text, and the listeners, of which it holds the addresses.
func settable(t reflect.Type) bool {
	switch {
	case t == reflect.TypeFor[[]Listener](), t.Kind() == reflect.Slice && isText(t.Elem()):
		return true
	default:
		return isText(t) || t.Kind() == reflect.Bool || t.Kind() == reflect.Int || t.Kind() == reflect.Int64
	}
}

func isText(t reflect.Type) bool {
	return t.Kind() == reflect.String || t == reflect.TypeFor[netip.Prefix]()
}

// fromText turns a variable's or a flag's text into the value that a file would give.
func fromText(t reflect.Type, text string) any {
	switch t.Kind() {
	case reflect.Slice:
		return fromList(t, strings.Split(text, ","))
	case reflect.Bool:
		if text == "true" || text == "false" {
			return text == "true"
		}
	case reflect.Int:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n
		}
	}
	return text
}

func fromList(t reflect.Type, items []string) []any {
	list := make([]any, len(items))
	for i, item := range items {
		list[i] = strings.TrimSpace(item)
		if t == reflect.TypeFor[[]Listener]() {
			list[i] = map[string]any{"address": list[i]}
		}
	}
	return list
}
