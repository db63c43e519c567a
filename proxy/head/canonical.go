package head

import (
	"net/http"

	"powerjob-shim/rules/openapi"
)

// Canonical is http.CanonicalHeaderKey. It takes no memory for names in PowerJob's
// capitals, which its clients and servers write.
func Canonical(name string) string {
	switch name {
	case openapi.TokenHeader:
		return tokenName
	case openapi.AppIDHeader:
		return appIDName
	case openapi.AuthHeader:
		return authName
	}
	return http.CanonicalHeaderKey(name)
}

var (
	tokenName = http.CanonicalHeaderKey(openapi.TokenHeader)
	appIDName = http.CanonicalHeaderKey(openapi.AppIDHeader)
	authName  = http.CanonicalHeaderKey(openapi.AuthHeader)
)
