package wireclient

import (
	"crypto/md5" //nolint:gosec // PowerJob's clients send the MD5 of the password
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strings"

	"powerjob-shim/rules/openapi"
)

// The content types of PowerJob's clients (OmsConstant, OkHttp's FormBody).
const (
	JSON       = "application/json; charset=utf-8"
	FormValues = "application/x-www-form-urlencoded"
)

// Login is the login of 5.x clients: authApp with the MD5 of the password.
func Login(app, password string) Request {
	sum := md5.Sum([]byte(password)) //nolint:gosec // see above
	return EncryptedLogin(app, hex.EncodeToString(sum[:]))
}

// EncryptedLogin is Login with the password's MD5 in hex, which is sent as it is.
func EncryptedLogin(app, encrypted string) Request {
	body, err := json.Marshal(struct {
		AppName           string `json:"appName"`
		EncryptedPassword string `json:"encryptedPassword"`
		EncryptType       string `json:"encryptType"`
	}{app, encrypted, "md5"})
	if err != nil {
		panic(err) // three strings
	}
	return Request{Path: openapi.Prefix + "authApp", ContentType: JSON, Body: body}
}

// Form is a call whose parameters are a form. pairs are their names and values in
// turn.
func Form(call string, pairs ...string) Request {
	var form []string
	for i := 0; i+1 < len(pairs); i += 2 {
		form = append(form, url.QueryEscape(pairs[i])+"="+url.QueryEscape(pairs[i+1]))
	}
	return Request{Path: openapi.Prefix + call, ContentType: FormValues, Body: []byte(strings.Join(form, "&"))}
}
