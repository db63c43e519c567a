package access

import (
	"crypto/sha256"
	"sync"
)

// Token is the fingerprint of an access token, never the token itself.
// The zero value stands for a request without one.
type Token [16]byte

// buffers hold tokens while they are hashed.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// Fingerprint returns a token's fingerprint: it tells tokens apart, but does not
// reveal the token. The empty token has the zero fingerprint.
func Fingerprint(token string) Token {
	if token == "" {
		return Token{}
	}
	b := buffers.Get().(*[]byte)
	defer buffers.Put(b)
	*b = append((*b)[:0], token...)
	sum := sha256.Sum256(*b)
	clear(*b) // no token stays in memory longer than it must
	return Token(sum[:16])
}
