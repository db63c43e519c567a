// Package hosts reads the host names of requests and matches them with patterns: a name
// ("shim.example.com"), a wildcard ("*.example.com"), or "" for every host. The case of
// letters does not matter.
//
// A wildcard covers names with one or more labels in place of the star; in a [Table]
// with OneLabel, with exactly one.
package hosts

import (
	"net"
	"strings"
)

// Bare returns a Host header's name in lower case, without port, brackets and
// trailing dot.
func Bare(header string) string {
	if strings.Contains(header, ":") {
		if h, _, err := net.SplitHostPort(header); err == nil {
			header = h
		}
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(header, "[]"), "."))
}

// Covers reports whether a pattern covers a bare name.
func Covers(pattern, name string) bool {
	domain, wildcard := strings.CutPrefix(pattern, "*")
	if wildcard && len(name) > len(domain) {
		return strings.EqualFold(domain, name[len(name)-len(domain):])
	}
	return pattern == "" || strings.EqualFold(pattern, name)
}

// Table has a value for each of many patterns, and finds those that cover a name by
// one look-up for each of its labels. The zero value is empty; it must not be changed
// while others read it.
type Table[T any] struct {
	OneLabel bool // a wildcard covers one label only, as in certificates

	exact    map[string]T // by name, in lower case; "": for every host
	wildcard map[string]T // by what follows the star: ".example.com"
}

// Get returns a pattern's value; the zero value if it has none.
func (t *Table[T]) Get(pattern string) T {
	in, key := t.place(pattern)
	return (*in)[key]
}

// Set gives a pattern its value.
func (t *Table[T]) Set(pattern string, v T) {
	in, key := t.place(pattern)
	if *in == nil {
		*in = map[string]T{}
	}
	(*in)[key] = v
}

// place returns the map that has a pattern's value, and its key there.
func (t *Table[T]) place(pattern string) (in *map[string]T, key string) {
	key, wildcard := strings.CutPrefix(strings.ToLower(pattern), "*")
	if wildcard {
		return &t.wildcard, key
	}
	return &t.exact, key
}

// Each calls visit with the values of the patterns that cover a bare name, the most
// specific first, until it returns false: the name itself, then wildcards, longer ones
// before shorter, then every host.
func (t *Table[T]) Each(name string, visit func(T) bool) {
	if v, ok := t.exact[name]; ok && name != "" && !visit(v) {
		return
	}
	for i := 1; i < len(name) && len(t.wildcard) > 0; i++ {
		if name[i] != '.' {
			continue
		}
		if v, ok := t.wildcard[name[i:]]; ok && !visit(v) {
			return
		}
		if t.OneLabel {
			break
		}
	}
	if v, ok := t.exact[""]; ok {
		visit(v)
	}
}

// All calls visit with each pattern's value, in no order.
func (t *Table[T]) All(visit func(T)) {
	for _, v := range t.exact {
		visit(v)
	}
	for _, v := range t.wildcard {
		visit(v)
	}
}
