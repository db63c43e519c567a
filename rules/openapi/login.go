package openapi

import (
	"encoding/json"
	"strings"
)

// LoginName returns the name of the app that a login is for, so that everything that
// acts on it reads the same. It is an error if a server may read another name: if the
// parameter is there twice or in another case, or AppsOf could not read the request.
// contentType are all values of the request's Content-Type.
func (c *Call) LoginName(contentType []string, rawQuery string, body []byte) (string, error) {
	if c.Body == JSON {
		login, err := LoginOf(contentType, body)
		return login.AppName, err
	}
	if len(body) > 0 && encodingOf(contentType) != formBody {
		return "", ErrUnreadable
	}
	name, found := "", 0
	look := func(parameter, value []byte) {
		switch {
		case string(parameter) == "appName":
			name = string(value)
			found++
		case strings.EqualFold(string(parameter), "appName"):
			found += 2
		}
	}
	if !parameters([]byte(rawQuery), look) || !parameters(body, look) {
		return "", ErrUnreadable
	}
	if found > 1 { // a server joins several, with commas
		return "", ErrSeveralApps
	}
	return name, nil
}

// LoginRequest is what an authApp asks for.
type LoginRequest struct{ AppName, EncryptedPassword, EncryptType string }

// LoginOf reads an authApp. A field that is missing or null is empty; without a body all are.
// A body without a type counts as JSON.
func LoginOf(contentType []string, body []byte) (login LoginRequest, err error) { //nolint:gocognit // one pass over the fields, whose cases depend on each other
	if len(body) == 0 {
		return login, nil
	}
	if len(contentType) > 0 && encodingOf(contentType) != jsonBody {
		return login, ErrUnreadable
	}
	seen := 0
	ok := fields(body, func(name, value []byte) {
		for i, f := range [...]struct {
			name string
			into *string
		}{{"appName", &login.AppName}, {"encryptedPassword", &login.EncryptedPassword}, {"encryptType", &login.EncryptType}} {
			if !strings.EqualFold(string(name), f.name) {
				continue
			}
			if seen&(1<<i) != 0 || string(name) != f.name {
				err = ErrSeveralApps
			}
			seen |= 1 << i
			if json.Unmarshal(value, f.into) != nil && err == nil {
				err = ErrUnreadable
			}
		}
	})
	if !ok {
		err = ErrUnreadable
	}
	if err != nil {
		return LoginRequest{}, err
	}
	return login, nil
}
