package head

import (
	"net/http"

	"golang.org/x/net/http/httpguts"

	"powerjob-shim/rules/openapi"
)

// fieldName is http.CanonicalHeaderKey for a field's name; ok is false for what is
// none. Names as PowerJob's clients and servers write them, and those that the shim
// adds, cost next to nothing.
func fieldName(name string) (canonical string, ok bool) {
	switch name {
	case openapi.TokenHeader:
		return openapi.TokenKey, true
	case openapi.AppIDHeader:
		return openapi.AppIDKey, true
	case openapi.AuthHeader:
		return openapi.AuthKey, true
	case "Accept-Encoding", "Connection", "Content-Length", "Content-Type", "Date", "Host",
		"Keep-Alive", "Transfer-Encoding", "User-Agent", "Vary", openapi.TokenKey, openapi.AppIDKey,
		"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Powerjob-Shim", "X-Request-Id":
		return name, true
	}
	return http.CanonicalHeaderKey(name), httpguts.ValidHeaderFieldName(name)
}

// Get is h.Get for a name that is canonical.
func Get(h http.Header, name string) string {
	if values := h[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}
