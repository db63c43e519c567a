package access

import (
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // PowerJob's clients send the MD5 of the password
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Issuer logs clients in on behalf of servers that have no authApp, and gives
// out tokens shaped like a real server's: HS256 JWTs with a random jti. It
// never changes and is safe for concurrent use.
//
// Unlike a real server's, its tokens do not hold the MD5 of the password: that MD5
// is all that a login needs, and anyone who sees a token can read it. The MD5 makes
// a token end when the password changes; here the key does that: it
// is made from the secret, the group, the app's name and its password.
// So shims with the same secret and passwords accept each other's tokens.
type Issuer struct {
	group     string
	secret    []byte
	ttl       time.Duration
	passwords map[string]string // by app name
}

// IssuerSettings are what an Issuer is made from.
type IssuerSettings struct {
	Apps   map[string]string // passwords by app name
	Secret string            // 32 bytes or more; "": a random one
	TTL    time.Duration     // of a token; 0: 168 h
}

// NewIssuer returns an Issuer for an upstream group.
func NewIssuer(group string, s IssuerSettings) *Issuer {
	if s.TTL <= 0 {
		s.TTL = DefaultTTL
	}
	if s.Secret == "" {
		s.Secret = rand.Text() + rand.Text()
	}
	return &Issuer{group: group, secret: []byte(s.Secret), ttl: s.TTL, passwords: s.Apps}
}

// LoginError is a refused login in the words of a real 5.1.0 server.
type LoginError struct {
	Code    string // tech.powerjob.common.enums.ErrorCodes
	Message string
}

func (e *LoginError) Error() string { return e.Message }

// Check checks what a client sent to authApp. It returns the app's password in
// plain text, which the server's own login needs. An error is a *LoginError.
func (i *Issuer) Check(app, encrypted, encryptType string) (password string, err error) {
	password, known := i.passwords[app]
	if !known {
		return "", &LoginError{"-402", "INVALID_APP:" + app}
	}
	sum := md5.Sum([]byte(password)) //nolint:gosec // see above
	want := hex.EncodeToString(sum[:])
	if subtle.ConstantTimeCompare([]byte(encrypted), []byte(want)) != 1 || !strings.EqualFold(encryptType, "md5") {
		return "", &LoginError{"-400", "INCORRECT_PASSWORD"}
	}
	return password, nil
}

// claims are a token's payload, in the real one's names.
type claims struct {
	AppID       int64  `json:"appId"`
	EncryptType string `json:"encryptType"`
	AppName     string `json:"appName"` // not in real tokens; it tells the key that signs the token
	jwt.RegisteredClaims
}

// Issue returns a new token for an app; id is the server's.
func (i *Issuer) Issue(app string, id int64, now time.Time) (string, error) {
	t := jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		AppID: id, EncryptType: "md5", AppName: app,
		RegisteredClaims: jwt.RegisteredClaims{
			Subject: "PowerJob", ID: uuid(), IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(i.ttl)),
		},
	})
	signed, err := t.SignedString(i.key(app))
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	return signed, nil
}

// Verify returns what a token stands for; nil: it is not from this Issuer.
// An expired token is still returned, with its end.
func (i *Issuer) Verify(token string) *Grant {
	var c claims
	_, err := jwt.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) {
		if _, known := i.passwords[c.AppName]; !known {
			return nil, errors.New("unknown app")
		}
		return i.key(c.AppName), nil
	}, jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithoutClaimsValidation())
	if err != nil || c.IssuedAt == nil || c.ExpiresAt == nil {
		return nil
	}
	return &Grant{
		Group: i.group, App: fmt.Sprint(c.AppID), Name: c.AppName,
		Since: c.IssuedAt.Time, Until: c.ExpiresAt.Time, Issuer: i,
	}
}

// key returns the key that signs an app's tokens.
func (i *Issuer) key(app string) []byte {
	h := hmac.New(sha256.New, i.secret)
	for _, part := range []string{"powerjob-shim login bridge 1", i.group, app, i.passwords[app]} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return h.Sum(nil)
}

// uuid returns a random UUID (RFC 9562, version 4).
func uuid() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
