package legacy

import (
	"net/http"
	"net/url"
	"strings"
)

// callOf returns the call's name in a request's path, which it reads as a real server
// does: a trailing slash, percent-encoded letters and path parameters (";x=y") make
// no difference; a path with an empty segment, a dot segment or an encoded slash is
// not routed. It does not use rules/openapi on purpose, so that tests find faults
// there.
//
// The status is 0 if the path names a call (known or not), 404 or 400 if it is under
// the OpenAPI but not routed, and -1 if it is not under the OpenAPI.
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
