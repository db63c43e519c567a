package openapi

import (
	"errors"
	"net/url"
	"strings"
)

// ErrAmbiguousPath says that servers, frameworks and proxies read this path in
// different ways, so that nobody can tell in advance which call it is.
var ErrAmbiguousPath = errors.New("ambiguous path")

// RoutePath returns the path that a Spring server compares with its routes
// when a request line carries escaped: path parameters (";x=y") are cut off,
// percent-encoded letters are decoded, and one trailing slash is dropped.
// Measured on real 4.3.9 and 5.1.0 servers.
//
// Paths that some server on the way may rewrite before it routes (an empty,
// "." or ".." segment, a backslash, an encoded slash, semicolon, percent sign or
// control character, an invalid escape) yield ErrAmbiguousPath. "/" yields
// the empty path. Given any other path that it returned, RoutePath returns the same one.
func RoutePath(escaped string) (string, error) {
	if plain(escaped) {
		return strings.TrimSuffix(escaped, "/"), nil
	}
	if escaped == "" || escaped[0] != '/' {
		return "", ErrAmbiguousPath
	}
	segments := strings.Split(escaped[1:], "/")
	if last := len(segments) - 1; last > 0 && segments[last] == "" {
		segments = segments[:last]
	}
	var b strings.Builder
	for _, raw := range segments {
		raw, _, _ := strings.Cut(raw, ";")
		seg, err := url.PathUnescape(raw)
		if err != nil || seg == "" || seg == "." || seg == ".." || strings.ContainsFunc(seg, confusing) {
			return "", ErrAmbiguousPath
		}
		b.WriteByte('/')
		b.WriteString(seg)
	}
	return b.String(), nil
}

// plain reports whether escaped needs no work except for its trailing slash: it
// starts with a slash and has only letters, digits, "-" and "_" between single
// slashes. Nearly all paths are like this, and cost no allocation.
func plain(escaped string) bool {
	var before byte
	for i := 0; i < len(escaped); i++ {
		c := escaped[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
			if i == 0 {
				return false
			}
		case c == '/':
			if before == '/' {
				return false
			}
		default:
			return false
		}
		before = c
	}
	return escaped != ""
}

func confusing(r rune) bool {
	return r == '/' || r == ';' || r == '\\' || r == '%' || r < ' ' || r == 0x7f || r == '\uFFFD'
}

// MayBeOpenAPI reports whether some reading of escaped, however lax, could
// lead to an OpenAPI call. A path that is ambiguous and may be one is refused.
func MayBeOpenAPI(escaped string) bool {
	s := escaped
	for range 4 { // as it came, and encoded once, twice, three times
		if strings.Contains(strings.ToLower(s), "openapi") {
			return true
		}
		s = decoded(s)
	}
	return false
}

// decoded undoes the valid escapes in s and keeps the rest.
func decoded(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if dec, err := url.PathUnescape(s[i : i+3]); err == nil {
				b.WriteString(dec)
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
