package exchange

import (
	"encoding/base32"
	"encoding/binary"
	"math/rand/v2"
	"net/http"
	"strings"
)

// requestID returns the caller's X-Request-Id if it is fit to be logged and sent on, else
// a new one.
func requestID(r *http.Request) string {
	if values := r.Header[RequestIDHeader]; len(values) == 1 && saneID(values[0]) {
		return strings.Clone(values[0]) // a metric's exemplar may keep it
	}
	return newID()
}

// newID returns 26 letters and digits, like crypto/rand.Text, but faster. Ids must be
// unique but need not be secret: everybody on the way sees them.
func newID() string {
	var bits [16]byte
	binary.NativeEndian.PutUint64(bits[:8], rand.Uint64()) //nolint:gosec // no secret; and it is seeded by the system
	binary.NativeEndian.PutUint64(bits[8:], rand.Uint64()) //nolint:gosec // likewise
	var room [26]byte
	return string(letters.AppendEncode(room[:0], bits[:]))
}

var letters = base32.StdEncoding.WithPadding(base32.NoPadding)

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
