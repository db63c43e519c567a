package configs

import (
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/spf13/pflag"
)

const (
	envPrefix = "POWERJOB_SHIM_"
	// FileVariable names the configuration file where Source.File does not.
	FileVariable = envPrefix + "CONFIG"
)

// shortcuts are the flags, and the keys they stand for. Each is a variable too:
// --log-level and POWERJOB_SHIM_LOG_LEVEL. The * of --upstream is the only
// group, or default.
var shortcuts = []struct{ flag, path, usage string }{
	{"listen", "listen", "`address` for clients; may be repeated (default :7700)"},
	{"upstream", "upstreams.*.servers", "`URL` of a PowerJob server; may be repeated"},
	{"admin", "admin.address", "`address` for metrics and health (default 127.0.0.1:9700)"},
	{"log-level", "log.level", "debug, info, warn or error (default info)"},
	{"log-format", "log.format", "json or console (default json)"},
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

// groupName is what an upstream group may be called, so that its name can stand
// in a variable's name and a metric's label.
var groupName = regexp.MustCompile(`^[a-z0-9]+([_-][a-z0-9]+)*$`)

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

// readEnviron returns the variables with our prefix, and those of them that no
// key corresponds to: a secret's own variable may turn out to be among them. An
// empty variable counts as not set.
func readEnviron(environ []string, group string, r *report) (l *layer, unknown []string) {
	l = newLayer("")
	l.values, _ = env.Provider(".", env.Opt{
		Prefix:      envPrefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			if value == "" || name == FileVariable || madeByKubernetes(name, value) {
				return "", nil
			}
			if !utf8.ValidString(value) {
				r.add(place{source: name}, "", "is not UTF-8; write it anew")
				return "", nil
			}
			path, t := variableKey(name, group)
			if t == nil {
				unknown = append(unknown, name)
				return "", nil
			}
			at := place{source: name}
			if other, twice := l.places[path]; twice && other != at {
				r.add(at, path, "is set by %s too; keep one of the two", other.source)
				return "", nil
			}
			l.places[path] = at
			return path, fromText(t, value)
		},
	}).Read()
	return l, unknown
}

// kubernetesVariable has the names that Kubernetes makes up in every container
// for each Service of its namespace; with a Service called powerjob-shim they
// begin with our prefix (kubernetes.io/docs, "Service", environment variables).
// The one that ends in _PORT alone is known by its value, a tcp:// URL.
var kubernetesVariable = regexp.MustCompile(
	`_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)=|_PORT=(tcp|udp|sctp)://`)

func madeByKubernetes(name, value string) bool {
	return kubernetesVariable.MatchString("_" + strings.TrimPrefix(name, envPrefix) + "=" + value)
}

// variableKey returns the key that a variable sets, and its type; nil when there is none.
func variableKey(name, group string) (string, reflect.Type) {
	for _, s := range shortcuts {
		if name == shortcutVariable(s.flag) {
			path := strings.Replace(s.path, "*", group, 1)
			t, _ := keyType(strings.Split(path, "."))
			return path, t
		}
	}
	keys := strings.Split(strings.ToLower(strings.TrimPrefix(name, envPrefix)), "__")
	t, ok := keyType(keys)
	if !ok || !settable(t) {
		return "", nil
	}
	return strings.Join(keys, "."), t
}

func shortcutVariable(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// unknownVariable reports a variable that sets nothing.
func unknownVariable(name, group string, r *report) {
	at := place{source: name}
	if t, ok := keyType(strings.Split(strings.ToLower(strings.TrimPrefix(name, envPrefix)), "__")); ok && !settable(t) {
		r.add(at, "", "is a block of keys, which a variable cannot hold; write it in the file, or set one variable for each of its plain keys")
		return
	}
	if near, ok := nearest(name, variableNames(group)); ok {
		r.add(at, "", "unknown variable; did you mean %s?", near)
		return
	}
	r.add(at, "", "unknown variable; keys are written like %sDEDUP__MAX_BODY, with __ between the levels", envPrefix)
}

// keyType returns the type of the key at the end of a path without list indexes.
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

// settable tells whether one variable can hold a whole value: plain ones, lists
// of them, and the listeners' addresses.
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

// fromText reads a variable's or a flag's value as the file would have it.
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

// variableNames lists what can be set in the environment.
func variableNames(group string) []string {
	var names []string
	for _, s := range shortcuts {
		names = append(names, shortcutVariable(s.flag))
	}
	var walk func(prefix string, t reflect.Type)
	walk = func(prefix string, t reflect.Type) {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		switch {
		case settable(t):
			names = append(names, prefix)
		case t.Kind() == reflect.Map:
			walk(prefix+"__"+strings.ToUpper(group), t.Elem())
		case t.Kind() == reflect.Struct:
			for _, f := range fieldsOf(t) {
				walk(strings.TrimPrefix(prefix+"__"+strings.ToUpper(f.key), "__"), f.typ)
			}
		}
	}
	walk("", reflect.TypeFor[Config]())
	for i, name := range names {
		if !strings.HasPrefix(name, envPrefix) {
			names[i] = envPrefix + name
		}
	}
	return names
}
