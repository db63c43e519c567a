package config

import (
	"reflect"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/knadh/koanf/providers/env/v2"
)

const (
	envPrefix = "POWERJOB_SHIM_"
	// FileVariable names the configuration file where Source.File does not.
	FileVariable = envPrefix + "CONFIG"
)

// groupName matches the allowed names of upstream groups: they can be part of a
// variable's name and a metric's label.
var groupName = regexp.MustCompile(`^[a-z0-9]+([_-][a-z0-9]+)*$`)

// readEnviron returns the values of the variables with our prefix, and the names
// of those that match no key: one of these may still be a secret's own variable.
// An empty variable counts as not set.
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

// kubernetesVariable matches the variables that Kubernetes sets in every container
// for each Service of its namespace; with a Service called powerjob-shim they
// begin with our prefix (kubernetes.io/docs, "Service", environment variables).
// One that ends in plain _PORT is recognised by its value, a tcp:// URL.
var kubernetesVariable = regexp.MustCompile(
	`_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)=|_PORT=(tcp|udp|sctp)://`)

func madeByKubernetes(name, value string) bool {
	return kubernetesVariable.MatchString("_" + strings.TrimPrefix(name, envPrefix) + "=" + value)
}

// variableKey returns the path of the key that a variable sets, and its type. A
// nil type: it sets no key.
func variableKey(name, group string) (string, reflect.Type) {
	for _, s := range shortcuts {
		if name == shortcutVariable(s.flag) {
			path := strings.Replace(s.path, "*", group, 1)
			t, _ := keyType(strings.Split(path, "."))
			return path, t
		}
	}
	keys := variableKeys(name)
	t, ok := keyType(keys)
	if !ok || !settable(t) {
		return "", nil
	}
	return strings.Join(keys, "."), t
}

// variableKeys returns the keys in a variable's name, from the outermost on.
func variableKeys(name string) []string {
	return strings.Split(strings.ToLower(strings.TrimPrefix(name, envPrefix)), "__")
}

func shortcutVariable(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// unknownVariable reports a variable that sets no key.
func unknownVariable(name, group string, r *report) {
	at := place{source: name}
	if t, ok := keyType(variableKeys(name)); ok && !settable(t) {
		r.add(at, "", "is a block of keys, which a variable cannot hold; write it in the file, or set one variable for each of its plain keys")
		return
	}
	if near, ok := nearest(strings.TrimPrefix(name, envPrefix), variableNames(group)); ok {
		r.add(at, "", "unknown variable; did you mean %s%s?", envPrefix, near)
		return
	}
	r.add(at, "", "unknown variable; keys are written like %sDEDUP__MAX_BODY, with __ between the levels", envPrefix)
}

// variableNames lists the variables that set a key, without the prefix.
func variableNames(group string) []string {
	var names []string
	for _, s := range shortcuts {
		names = append(names, strings.TrimPrefix(shortcutVariable(s.flag), envPrefix))
	}
	var walk func(name string, t reflect.Type)
	walk = func(name string, t reflect.Type) {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		switch {
		case settable(t):
			names = append(names, name)
		case t.Kind() == reflect.Map:
			walk(name+"__"+strings.ToUpper(group), t.Elem())
		case t.Kind() == reflect.Struct:
			for _, f := range fieldsOf(t) {
				walk(strings.TrimPrefix(name+"__"+strings.ToUpper(f.key), "__"), f.typ)
			}
		}
	}
	walk("", reflect.TypeFor[Config]())
	return names
}
