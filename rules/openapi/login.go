package openapi

import (
	"encoding/json"
	"net/url"
	"strings"
)

// LoginName returns the name of the app that a login is for: one reading for all
// that acts on it. What a server may read in another way is an error: a name
// that is there twice, or in another case with another value, and all that AppsOf
// could not read. contentType are all values of the request's Content-Type.
func (c *Call) LoginName(contentType []string, rawQuery string, body []byte) (string, error) {
	if c.Body == JSON {
		login, err := LoginOf(contentType, body)
		return login.AppName, err
	}
	name, found := "", 0
	for i, form := range [...]string{rawQuery, string(body)} {
		if i == 1 && form != "" && encodingOf(contentType) != formBody {
			return "", ErrUnreadable
		}
		for form != "" {
			var pair string
			pair, form, _ = strings.Cut(form, "&")
			k, v, _ := strings.Cut(pair, "=")
			k, err1 := url.QueryUnescape(k)
			v, err2 := url.QueryUnescape(v)
			switch {
			case err1 != nil || err2 != nil:
				return "", ErrUnreadable
			case k == "appName":
				name = v
				found++
			case strings.EqualFold(k, "appName"):
				found += 2
			}
		}
	}
	if found > 1 { // a server puts several together, with commas
		return "", ErrSeveralApps
	}
	return name, nil
}

// LoginRequest is what an authApp asks for.
type LoginRequest struct{ AppName, EncryptedPassword, EncryptType string }

// LoginOf reads an authApp. A field that is not there, or null, is empty; without a body all are.
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
