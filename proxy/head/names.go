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
		return tokenName, true
	case openapi.AppIDHeader:
		return appIDName, true
	case openapi.AuthHeader:
		return authName, true
	case "Accept-Encoding", "Connection", "Content-Length", "Content-Type", "Date", "Host",
		"Keep-Alive", "Transfer-Encoding", "User-Agent", "Vary", tokenName, appIDName,
		"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Powerjob-Shim", "X-Request-Id":
		return name, true
	}
	return http.CanonicalHeaderKey(name), httpguts.ValidHeaderFieldName(name)
}

const (
	tokenName = "X-Powerjob-Access-Token"
	appIDName = "X-Powerjob-App-Id"
	authName  = "X-Powerjob-Auth-Passed"
)

// Get is h.Get for a name that is canonical.
func Get(h http.Header, name string) string {
	if values := h[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}
