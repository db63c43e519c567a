package routing

import (
	"net/url"
	"slices"
	"strings"
)

// Rewriting turns the path of a route's requests into the path that its servers know.
// It cuts strip off, and puts add in front of the rest. Then it puts the servers'
// context path in front, unless the path is under it already. Each of the three is "" or
// whole segments ("/x/y"). The rest of a request's target is not changed.
type Rewriting struct{ strip, add, context string }

// Path returns the server's path for raw, the path as the caller wrote it. ok is false
// if raw begins with strip in a form that only some programs read as strip.
func (rw Rewriting) Path(raw string) (path string, ok bool) {
	if rw.strip != "" {
		if rest, under := cutSegments(raw, rw.strip); under {
			raw = rest
		} else if readsUnder(raw, rw.strip) {
			return "", false
		}
	}
	raw = rw.add + raw
	if rw.context != "" && !readsUnder(raw, rw.context) {
		raw = rw.context + raw
	}
	return raw, true
}

// cutSegments cuts prefix off the front of path, if it ends there at the end of a
// segment. Otherwise it returns path and false.
func cutSegments(path, prefix string) (rest string, under bool) {
	rest, under = strings.CutPrefix(path, prefix)
	switch {
	case !under, rest != "" && rest[0] != '/':
		return path, false
	case rest == "":
		return "/", true
	}
	return rest, true
}

// readsUnder reports whether some server may read raw as a path under prefix. It looks
// through encoded letters, encoded slashes and path parameters.
func readsUnder(raw, prefix string) bool {
	if _, under := cutSegments(raw, prefix); under {
		return true
	}
	if !strings.ContainsAny(raw, "%;") {
		return false
	}
	if plain, err := url.PathUnescape(raw); err == nil {
		if _, under := cutSegments(plain, prefix); under {
			return true
		}
	}
	want, have := strings.Split(prefix, "/"), strings.Split(raw, "/")
	return len(have) >= len(want) && slices.EqualFunc(want, have[:len(want)], func(want, have string) bool {
		have, _, _ = strings.Cut(have, ";")
		plain, err := url.PathUnescape(have)
		return err == nil && plain == want
	})
}
