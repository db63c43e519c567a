package dedup

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"
)

// Key identifies equal calls. All 32 bytes count: if two different calls had one
// key, a real call would be dropped.
type Key [sha256.Size]byte

// keyVersion changes when the parts of a key do, so that replicas of different
// versions never take each other's keys for equal.
const keyVersion = "powerjob-shim key 2"

// KeyParts are the parts that must agree for two calls to be equal. The token, the
// client's address and the time are not among them.
type KeyParts struct {
	Group       string // the upstream group
	Method      string
	Path        string // as the upstream routes it
	RawQuery    string
	ContentType string
	App         string // the app id header
	Origin      string // of a browser's page: the answer names it (CORS)
	Body        []byte
}

var hashes = sync.Pool{New: func() any { return &hasher{Hash: sha256.New()} }}

type hasher struct {
	hash.Hash
	buf []byte
}

// Key returns SHA-256 over the version and the parts, each behind its length,
// so that no two different lists of parts read the same.
func (p KeyParts) Key() Key {
	h := hashes.Get().(*hasher)
	defer hashes.Put(h)
	h.Reset()
	b := h.buf[:0]
	for _, s := range [...]string{keyVersion, p.Group, p.Method, p.Path, p.RawQuery, p.ContentType, p.App, p.Origin} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(s)))
		b = append(b, s...)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(len(p.Body)))
	_, _ = h.Write(b) // a hash never fails
	_, _ = h.Write(p.Body)
	h.buf = h.Sum(b[:0])
	return Key(h.buf)
}
