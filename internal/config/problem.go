package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"powerjob-shim/internal/redact"
)

// Problem is one thing that is wrong with a configuration. Load's error joins
// them all; errors.As finds the first.
type Problem struct {
	// File is where the value is: a file's path, an environment variable's
	// name or a flag's ("--listen"). Empty: nowhere, a value is missing.
	File string
	// Line counts from 1. 0: no certain line.
	Line int
	// Path is the key's path, such as "upstreams.default.servers[0]". Empty: the whole file.
	Path string
	// Message says what is wrong and what to write.
	Message string
}

// Error reads "config.yaml:12: upstreams.default.timeout: "5" has no unit; write 5s or 500ms".
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	for _, part := range []string{p.Path, p.Message} {
		if part != "" && b.Len() > 0 {
			b.WriteString(": ")
		}
		b.WriteString(part)
	}
	return b.String()
}

// place is where a value was given.
type place struct {
	source string // as Problem.File
	line   int
}

// places maps each path that was given to its place, mappings and lists included.
type places map[string]place

// of returns the place of path or, where path was not given, of the nearest given
// key around it.
func (ps places) of(path string) place {
	for ; path != ""; path = parent(path) {
		if at, ok := ps[path]; ok {
			return at
		}
	}
	return ps[""]
}

// overlay adds the places of a later layer. Its lists replace earlier ones as a whole.
func (ps places) overlay(later places) {
	for path := range ps {
		if list, _, ok := strings.Cut(path, "["); ok {
			if _, replaced := later[list]; replaced {
				delete(ps, path)
			}
		}
	}
	for path, at := range later {
		if path != "" || ps[""] == (place{}) {
			ps[path] = at
		}
	}
}

func parent(path string) string { return path[:max(0, strings.LastIndexAny(path, ".["))] }

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func index(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

// report collects problems. Once a value could not be decoded, nothing more is
// reported about it, as when its zero value is validated.
type report struct {
	problems []*Problem
	failed   map[failure]bool
}

// failure is a path for which a source gave a value that cannot be used.
type failure struct{ source, path string }

// add notes a problem. It removes the user and password of any address in the
// message.
func (r *report) add(at place, path, format string, args ...any) {
	for p := path; p != ""; p = parent(p) {
		if r.failed[failure{at.source, p}] {
			return
		}
	}
	for i, arg := range args {
		if text, ok := arg.(string); ok {
			args[i] = redact.Address(text)
		}
	}
	message := redact.Sentence(fmt.Sprintf(format, args...))
	r.problems = append(r.problems, &Problem{File: at.source, Line: at.line, Path: path, Message: message})
}

// fail is add for a key that has no usable value.
func (r *report) fail(at place, path, format string, args ...any) {
	r.add(at, path, format, args...)
	r.mark(at.source, path)
}

func (r *report) mark(source, path string) {
	if r.failed == nil {
		r.failed = make(map[failure]bool)
	}
	r.failed[failure{source, path}] = true
}

// err joins all problems: the file's by line, then those of variables, those of
// flags, and what is missing.
func (r *report) err() error {
	rank := func(p *Problem) int {
		switch {
		case p.File == "":
			return 3
		case strings.HasPrefix(p.File, "--"):
			return 2
		case strings.HasPrefix(p.File, envPrefix):
			return 1
		default:
			return 0
		}
	}
	slices.SortStableFunc(r.problems, func(a, b *Problem) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Line, b.Line))
	})
	var all []error
	for _, p := range r.problems {
		all = append(all, p)
	}
	return errors.Join(all...)
}
