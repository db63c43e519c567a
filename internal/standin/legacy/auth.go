package legacy

import (
	"crypto/md5" //nolint:gosec // PowerJob's clients send the MD5 of the password
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// tokenLife is how long a token is valid (PowerJob's JwtServiceImpl).
const tokenLife = 7 * 24 * time.Hour

// key signs the tokens. All stand-ins have the same, like servers of one database.
var key = []byte("stand-in for the server's own secret")

// coded is a business error with PowerJob's error code (ErrorCodes).
type coded struct{ code, text string }

func (e *coded) Error() string { return e.text }

// exception is any other Java exception, in the words of ExceptionUtils.getMessage.
type exception string

func (e exception) Error() string { return string(e) }

func throw(format string, args ...any) error { return exception(fmt.Sprintf(format, args...)) }

// Fingerprint returns a token's short fingerprint; "" for no token. Records keep it
// instead of the token, which contains the MD5 of a password.
func Fingerprint(token string) string {
	if token == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:6])
}

// HashPassword returns the MD5 of a password as clients send it.
func HashPassword(password string) string {
	sum := md5.Sum([]byte(password)) //nolint:gosec // see above
	return hex.EncodeToString(sum[:])
}

type claims struct {
	Password    string `json:"password"`
	AppID       int64  `json:"appId"`
	EncryptType string `json:"encryptType"`
	jwt.RegisteredClaims
}

// checkToken is OpenApiSecurityServiceImpl.authAppByToken.
func (c *Core) checkToken(token, appID string) *coded {
	switch {
	case appID == "":
		return &coded{"-300", "INVALID_REQUEST:lack_of_appId_in_header"}
	case token == "":
		return &coded{"-1002", "OPEN_API_AUTH_FAILED:token_is_empty"}
	}
	var t claims
	_, err := jwt.ParseWithClaims(token, &t, func(*jwt.Token) (any, error) { return key, nil },
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithTimeFunc(c.now))
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return &coded{"-403", "TOKEN_EXPIRED:JWT expired"}
	case err != nil:
		return &coded{"-401", "INVALID_TOKEN:" + err.Error()}
	case strconv.FormatInt(t.AppID, 10) != appID:
		return &coded{"-300", "INVALID_REQUEST:Inconsistent_appId_from_token_and_header"}
	}
	for _, a := range c.apps {
		if a.ID != t.AppID {
			continue
		}
		if t.Password != HashPassword(a.Password) {
			return &coded{"-400", "INCORRECT_PASSWORD"}
		}
		return nil
	}
	return &coded{"-402", "INVALID_APP:can_not_find_app"}
}

func (c *Core) app(name string) (App, error) {
	for _, a := range c.apps {
		if a.Name == name {
			return a, nil
		}
	}
	if c.mode == NoAuthApp {
		return App{}, throw("PowerJobException: can't find appInfo by appName: %s", name)
	}
	return App{}, &coded{"-402", "INVALID_APP:" + name}
}

// authApp gives a token for the MD5 of an app's password.
func (c *Core) authApp(p params) (outcome, error) {
	a, err := c.app(p.text("appName"))
	if err != nil {
		return outcome{}, err
	}
	if !strings.EqualFold(p.text("encryptType"), "md5") || p.text("encryptedPassword") != HashPassword(a.Password) {
		return outcome{}, &coded{"-400", "INCORRECT_PASSWORD"}
	}
	token, err := c.issue(a)
	if err != nil {
		return outcome{}, err
	}
	c.logins++
	c.issued[Fingerprint(token)] = c.logins
	return outcome{login: c.logins, data: struct {
		AppID int64  `json:"appId"`
		Token string `json:"token"`
		Extra any    `json:"extra"`
	}{a.ID, token, nil}}, nil
}

func (c *Core) issue(a App) (string, error) {
	var id [16]byte
	rand.Read(id[:])
	t := jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		Password: HashPassword(a.Password), AppID: a.ID, EncryptType: "md5",
		RegisteredClaims: jwt.RegisteredClaims{
			Subject: "PowerJob", ID: fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:]),
			ExpiresAt: jwt.NewNumericDate(c.now().Add(tokenLife)),
		},
	})
	return t.SignedString(key)
}

// assert is the login of 4.x clients: the password in plain text, no token.
func (c *Core) assert(p params) (outcome, error) {
	a, err := c.app(p.text("appName"))
	if err != nil {
		return outcome{}, err
	}
	if p.text("password") != a.Password {
		return outcome{}, &coded{"-400", "INCORRECT_PASSWORD"}
	}
	return outcome{data: a.ID}, nil
}

// message returns an error's text in the envelope.
func message(err error) string {
	var e *coded
	if errors.As(err, &e) {
		return e.text
	}
	return err.Error()
}

// envelope is PowerJob's ResultDTO.
type envelope struct {
	Success bool    `json:"success"`
	Data    any     `json:"data"`
	Message *string `json:"message"`
}

// codedEnvelope is PowerJob's PowerResultDTO, which authApp answers with.
type codedEnvelope struct {
	envelope
	Code *string `json:"code"`
}

func success(call string, data any) []byte {
	if call == "authApp" {
		return encode(codedEnvelope{envelope: envelope{Success: true, Data: data}})
	}
	return encode(envelope{Success: true, Data: data})
}

func failure(call string, err error) []byte {
	text := message(err)
	var e *coded
	if call == "authApp" {
		code := "-500" // SYSTEM_UNKNOWN_ERROR
		if errors.As(err, &e) {
			code = e.code
		}
		return encode(codedEnvelope{envelope: envelope{Message: &text}, Code: &code})
	}
	if errors.As(err, &e) {
		text = "PowerJobException: " + text
	}
	return encode(envelope{Message: &text})
}
