package exchange

import (
	"math/rand/v2"
	"net/http"
	"strings"
)

// requestID returns the caller's X-Request-Id if it may be logged and sent on, else
// a new one.
func requestID(r *http.Request) string {
	if values := r.Header[RequestIDHeader]; len(values) == 1 && saneID(values[0]) {
		return strings.Clone(values[0]) // a metric's exemplar may keep it
	}
	return newID()
}

// newID returns 26 letters and digits, as crypto/rand.Text does, which takes five times as
// long. They need to be different ones, and no secret: everybody on the way sees them.
func newID() string {
	var id [26]byte
	for i, left := 0, uint64(0); i < len(id); i, left = i+1, left/32 {
		if i%(len(id)/2) == 0 {
			left = rand.Uint64() //nolint:gosec // no secret; and it is seeded by the system
		}
		id[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[left%32]
	}
	return string(id[:])
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
