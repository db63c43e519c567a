package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"os"
	"strings"
)

// Guard passes only requests that carry the token in tokenFile to next. The token comes
// as a bearer token, as Prometheus sends it, or as the password of HTTP basic
// authentication with any user name, for which a browser asks. The file is read at each
// request, so a new token takes effect at once. While it cannot be read or is empty, all
// requests are refused. If tokenFile is "", all requests pass.
func Guard(next http.Handler, tokenFile string) http.Handler {
	if tokenFile == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		want, err := os.ReadFile(tokenFile) //nolint:gosec // the operator names the file
		token := strings.TrimRight(string(want), "\r\n")
		if err != nil || token == "" {
			http.Error(w, "admin.token_file cannot be read, or is empty: see the file's path and rights", http.StatusServiceUnavailable)
			return
		}
		if !equal(token, shownToken(r)) {
			w.Header().Set("WWW-Authenticate", `Basic realm="powerjob-shim: any user name, and the token of admin.token_file as password", charset="UTF-8"`)
			http.Error(w, "send the token of admin.token_file: Authorization: Bearer TOKEN, or as password", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// shownToken returns the token that r carries; "": none.
func shownToken(r *http.Request) string {
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// equal reports whether a and b are equal. The time it takes does not reveal how much of
// them is.
func equal(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
