package exchange

import (
	"crypto/rand"
	"net/http"
	"strings"
)

// requestID returns the caller's X-Request-Id if it may be logged and sent on, else
// a new one.
func requestID(r *http.Request) string {
	if values := r.Header[RequestIDHeader]; len(values) == 1 && saneID(values[0]) {
		return strings.Clone(values[0]) // a metric's exemplar may keep it
	}
	return rand.Text()
}

// saneID reports whether id is 1 to 128 visible ASCII characters.
func saneID(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return false
		}
	}
	return true
}
