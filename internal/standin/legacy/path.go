package legacy

import (
	"net/http"
	"net/url"
	"strings"
)

// callOf reads the call's name out of a request line as a real server routes
// it: a trailing slash, percent-encoded letters and path parameters (";x=y")
// do not matter, an empty, dotted or encoded-slash segment is not routed. It is
// written apart from rules/openapi on purpose: a fault there must show here.
//
// The status is 0 where the path names a call (known or not), 404 or 400 where
// it is under the OpenAPI but not routed, and -1 where it is not under it.
func callOf(r *http.Request, prefix string) (name string, status int) {
	escaped, ok := strings.CutPrefix(r.URL.EscapedPath(), prefix)
	if !ok || !strings.HasPrefix(escaped, "/") {
		return "", -1
	}
	var segments []string
	for _, s := range strings.Split(escaped[1:], "/") {
		s, _, _ = strings.Cut(s, ";")
		plain, err := url.PathUnescape(s)
		if err != nil || strings.ContainsAny(plain, "/\\%") {
			return "", http.StatusBadRequest
		}
		segments = append(segments, plain)
	}
	if n := len(segments); n == 3 && segments[2] == "" {
		segments = segments[:2]
	}
	if segments[0] != "openApi" {
		return "", -1
	}
	if len(segments) != 2 || segments[1] == "" {
		return "", http.StatusNotFound
	}
	return segments[1], 0
}
