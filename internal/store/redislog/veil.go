package redislog

import (
	"crypto/hmac"
	"crypto/sha256"
	"net/netip"

	"powerjob-shim/rules/access"
	"powerjob-shim/rules/dedup"
)

// veil hides what a log could tell about clients: keys, tokens and addresses
// become hashes that only tell whether two are equal. With a secret, only its owners
// can check guesses. Without one, anybody who reads the log can find an
// IPv4 address by trying all, or a body by guessing it.
type veil struct {
	secrets func() [][]byte // the first one keys the hashes; see Options.Secrets
}

func (v veil) secret() []byte {
	if v.secrets == nil {
		return nil
	}
	if all := v.secrets(); len(all) > 0 {
		return all[0]
	}
	return nil
}

// older returns veils with the older secrets, under which tokens may still be kept.
func (v veil) older() []veil {
	if v.secrets == nil {
		return nil
	}
	all := v.secrets()
	var before []veil
	for i := 1; i < len(all); i++ {
		before = append(before, veil{func() [][]byte { return all[i:] }})
	}
	return before
}

func hash(secret []byte, label byte, data []byte) (sum [sha256.Size]byte) {
	h := sha256.New()
	if len(secret) > 0 {
		h = hmac.New(sha256.New, secret)
	}
	_, _ = h.Write([]byte{label}) // a hash never fails
	_, _ = h.Write(data)
	h.Sum(sum[:0])
	return sum
}

func (v veil) key(k dedup.Key) dedup.Key {
	secret := v.secret()
	if len(secret) == 0 {
		return k // it is a hash already
	}
	return hash(secret, 'k', k[:])
}

// token hides a token. The zero token, which stands for none, stays as it is.
func (v veil) token(t access.Token) access.Token {
	secret := v.secret()
	if len(secret) == 0 || t == (access.Token{}) {
		return t
	}
	sum := hash(secret, 't', t[:])
	return access.Token(sum[:len(t)])
}

// addr hides an address. The invalid address, which stands for an unknown one, stays as it is.
func (v veil) addr(a netip.Addr) netip.Addr {
	if !a.IsValid() {
		return a
	}
	sum := hash(v.secret(), 'a', []byte(a.Unmap().String()))
	return netip.AddrFrom16([16]byte(sum[:16]))
}
