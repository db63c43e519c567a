package routing

import (
	"net/url"
	"slices"
	"strings"
)

// Rewriting says how the path of a route's requests becomes the path that its
// servers know: strip is cut off, add is put in front of what is left, and so is
// the servers' context path, unless the path is under it already. Each is "" or
// whole segments ("/x/y"). All else of a request's target stays as it came.
type Rewriting struct{ strip, add, context string }

// Path returns the server's path for raw, which is the path as it came. ok is
// false where raw begins with strip in a form that only some readers take for
// it.
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

// cutSegments cuts whole segments off the front of a path.
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

// readsUnder reports whether some server reads raw as a path under prefix:
// encoded letters, encoded slashes and path parameters do not matter.
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
