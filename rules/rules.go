// Package rules holds the shim's rules: which header a path's answers get, and which
// calls are deduplicated, and how. Rules are compiled once into a
// Set; a Set never changes and is safe for concurrent use. Nothing here does
// any I/O.
package rules

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"powerjob-shim/rules/hosts"
	"powerjob-shim/rules/openapi"
)

// Match is the kind of repetition that a dedup rule drops.
type Match uint8

const (
	// MatchResend drops a call only on evidence that the client repeats itself.
	MatchResend Match = iota
	// MatchBody also drops a call that equals another one inside the window.
	MatchBody
)

// String returns the word for m in a configuration.
func (m Match) String() string {
	if m == MatchBody {
		return "body"
	}
	return "resend"
}

// Rule says what happens to requests whose method, host and path it names.
type Rule struct {
	Name    string
	Methods []string // empty: every method
	Hosts   []string // empty: every host; "*.example.com": every host under it; without port, case-insensitive
	Paths   []string // a path that ends in * is a prefix, else exact; as RoutePath returns them
	Header  *Header  // nil: none
	Dedup   *Dedup   // nil: none; it never applies to reads and logins
}

// Header is a response header that is written in the exact case of Name.
type Header struct {
	Name  string
	Value string // added where the upstream sent none; empty: only the case is restored
}

// Dedup says how repeated calls are found.
type Dedup struct {
	Match   Match
	Window  time.Duration // from the answer; must be positive
	Observe bool          // decide and count, but forward everything
}

// Matched is the outcome of all rules that match a request.
type Matched struct {
	Headers []Header // of every rule that matches, in order
	Dedup   *Dedup   // of the first rule that matches and has one; nil: none
	Rule    string   // the name of the rule that Dedup is from
}

// Set is a compiled list of rules.
type Set struct {
	rules  []compiled
	window time.Duration
}

type compiled struct {
	Rule
	exact    map[string]bool
	prefixes []string
	headers  []Header
}

// Compile checks rules and prepares them for matching. All problems are
// reported, joined. An empty list compiles to a set that matches nothing.
func Compile(list []Rule) (*Set, error) { //nolint:gocognit // reports all problems of a list at once
	var (
		set  Set
		errs []error
		seen = map[string]bool{}
	)
	for i, r := range list {
		if err := r.check(); err != nil {
			errs = append(errs, fmt.Errorf("rule %d (%s): %w", i, r.Name, err))
		}
		if seen[r.Name] && r.Name != "" {
			errs = append(errs, fmt.Errorf("rule %d: name %q is taken by an earlier rule", i, r.Name))
		}
		seen[r.Name] = true
		c := compiled{Rule: r, exact: map[string]bool{}}
		for _, p := range r.Paths {
			if prefix, ok := strings.CutSuffix(p, "*"); ok {
				c.prefixes = append(c.prefixes, prefix)
			} else {
				c.exact["/"+strings.Trim(p, "/")] = true
			}
		}
		if r.Header != nil {
			c.headers = []Header{*r.Header}
		}
		if r.Dedup != nil {
			set.window = max(set.window, r.Dedup.Window)
		}
		set.rules = append(set.rules, c)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return &set, nil
}

// check returns everything that is wrong with a rule by itself.
func (r Rule) check() error {
	var errs []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	bad(r.Name == "", "a rule needs a name")
	bad(len(r.Paths) == 0, "a rule needs paths")
	bad(r.Header == nil && r.Dedup == nil, "a rule needs a header or a dedup block, else it does nothing")
	if h := r.Header; h != nil {
		bad(!httpguts.ValidHeaderFieldName(h.Name), "%q is no header name", h.Name)
		bad(!httpguts.ValidHeaderFieldValue(h.Value), "%q is no header value", h.Value)
	}
	if d := r.Dedup; d != nil {
		bad(d.Window <= 0, "a dedup window must be longer than 0")
		bad(OnlyReads(r.Paths), "a dedup rule needs paths of calls that change something; these are reads and logins, which are never deduplicated")
	}
	for _, p := range r.Paths {
		bad(!strings.HasPrefix(p, "/") || strings.Contains(strings.TrimSuffix(p, "*"), "*"),
			"path %q must start with / and may have one * at its end", p)
	}
	return errors.Join(errs...)
}

// Window returns the longest window of all dedup rules: how long evidence must
// be kept. It is 0 if no rule deduplicates.
func (s *Set) Window() time.Duration { return s.window }

// For returns what applies to a request. host may carry a port; path is as
// openapi.RoutePath returns it, and "" is "/". The result's slice is shared and
// must not be changed.
func (s *Set) For(method, host, path string) Matched {
	var m Matched
	if path == "" {
		path = "/"
	}
	for i := range s.rules {
		r := &s.rules[i]
		if !r.matches(method, host, path) {
			continue
		}
		switch {
		case len(m.Headers) == 0:
			m.Headers = r.headers
		case len(r.headers) > 0:
			m.Headers = slices.Concat(m.Headers, r.headers)
		}
		if m.Dedup == nil && r.Dedup != nil && changing(path) {
			m.Dedup, m.Rule = r.Dedup, r.Name
		}
	}
	return m
}

// Repeatable reports whether sending a request twice may do something twice. Any
// other request is forwarded, whatever a dedup rule says: reads and logins, as far as
// names tell, and requests with a safe method (RFC 9110, 9.2.1). PowerJob's calls are
// made with POST; with any other method a server refuses them.
func Repeatable(method, path string) bool {
	if kind, ok := openapi.KindOf(path); ok {
		return method == http.MethodPost && kind == openapi.Change
	}
	return !safe(method)
}

// changing reports whether a request for a path may change something.
func changing(path string) bool {
	kind, ok := openapi.KindOf(path)
	return !ok || kind == openapi.Change
}

func safe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// OnlyReads reports whether a rule's paths name only reads and logins.
func OnlyReads(paths []string) bool {
	return len(paths) > 0 && !slices.ContainsFunc(paths, func(p string) bool {
		if beginning, ok := strings.CutSuffix(p, "*"); ok {
			name, under := strings.CutPrefix(beginning, openapi.Prefix)
			return !under || !openapi.NamesReads(name)
		}
		return changing("/" + strings.Trim(p, "/"))
	})
}

func (r *compiled) matches(method, host, path string) bool {
	if !r.exact[path] && !slices.ContainsFunc(r.prefixes, func(p string) bool { return strings.HasPrefix(path, p) }) {
		return false
	}
	if len(r.Methods) > 0 && !slices.Contains(r.Methods, method) {
		return false
	}
	if len(r.Hosts) == 0 {
		return true
	}
	name := hosts.Bare(host)
	return slices.ContainsFunc(r.Hosts, func(pattern string) bool { return hosts.Covers(pattern, name) })
}
