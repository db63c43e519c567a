package access

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const secret = "0123456789abcdef0123456789abcdef"

func issuerOf(group, secret string, apps map[string]string) *Issuer {
	return NewIssuer(group, IssuerSettings{Apps: apps, Secret: secret})
}

var apps = map[string]string{"app1": "pw", "app2": "pw"}

func TestATokenSaysWhoseItIs(t *testing.T) {
	i := issuerOf("default", secret, apps)
	token, err := i.Issue("app1", 7, now)
	if err != nil {
		t.Fatal(err)
	}
	g := i.Verify(token)
	if g == nil || g.Group != "default" || g.App != "7" || g.Name != "app1" || !g.Since.Equal(now) || !g.Until.Equal(now.Add(DefaultTTL)) || g.Issuer != i {
		t.Errorf("it says %+v", g)
	}
	again, _ := i.Issue("app1", 7, now)
	if token == again {
		t.Error("two tokens are equal")
	}
}

func TestATokenIsVerifiedBySecretGroupAppAndPassword(t *testing.T) {
	token, err := issuerOf("default", secret, apps).Issue("app1", 7, now)
	if err != nil {
		t.Fatal(err)
	}
	if issuerOf("default", secret, map[string]string{"app1": "pw"}).Verify(token) == nil {
		t.Error("a replica does not accept it")
	}
	for name, other := range map[string]*Issuer{
		"secret":   issuerOf("default", strings.ToUpper(secret), apps),
		"group":    issuerOf("other", secret, apps),
		"password": issuerOf("default", secret, map[string]string{"app1": "new"}),
		"app":      issuerOf("default", secret, map[string]string{"app2": "pw"}),
	} {
		if g := other.Verify(token); g != nil {
			t.Errorf("with another %s it is accepted: %+v", name, g)
		}
	}
}

func TestForgedTokensAreNotAccepted(t *testing.T) {
	i := issuerOf("default", secret, apps)
	token, err := i.Issue("app1", 7, now)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(token, ".")
	other, _ := i.Issue("app2", 8, now)
	signed := func(method jwt.SigningMethod, key any, c claims) string {
		s, err := jwt.NewWithClaims(method, c).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	endless := claims{AppID: 7, AppName: "app1", RegisteredClaims: jwt.RegisteredClaims{IssuedAt: jwt.NewNumericDate(now)}}
	dated := endless
	dated.ExpiresAt = jwt.NewNumericDate(now.Add(time.Hour))
	for name, forged := range map[string]string{
		"nothing":              "",
		"no JWT":               "abc",
		"another's payload":    parts[0] + "." + strings.Split(other, ".")[1] + "." + parts[2],
		"a cut signature":      token[:len(token)-2],
		"no signature":         signed(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, dated),
		"HS512 by the own key": signed(jwt.SigningMethodHS512, i.key("app1"), dated),
		"the bare secret":      signed(jwt.SigningMethodHS256, []byte(secret), dated),
		"no end":               signed(jwt.SigningMethodHS256, i.key("app1"), endless),
	} {
		if g := i.Verify(forged); g != nil {
			t.Errorf("%s: accepted as %+v", name, g)
		}
	}
	if i.Verify(signed(jwt.SigningMethodHS256, i.key("app1"), dated)) == nil {
		t.Error("one that is signed as it should be is not accepted")
	}
}

func TestALoginIsRefusedInTheServersWords(t *testing.T) {
	i := issuerOf("default", secret, apps)
	const md5 = "8fe4c11451281c094a6578e6ddbf5eed" // of "pw"
	if password, err := i.Check("app1", md5, "md5"); err != nil || password != "pw" {
		t.Errorf("the right password: %q, %v", password, err)
	}
	for _, c := range []struct{ app, encrypted, kind, code string }{
		{"app1", "pw", "md5", "-400"},
		{"app1", md5, "none", "-400"},
		{"app1", "", "md5", "-400"},
		{"app1", strings.ToUpper(md5), "md5", "-400"},
		{"nope", md5, "md5", "-402"},
		{"", md5, "md5", "-402"},
	} {
		_, err := i.Check(c.app, c.encrypted, c.kind)
		var refused *LoginError
		if !errors.As(err, &refused) || refused.Code != c.code {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
