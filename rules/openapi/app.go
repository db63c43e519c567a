package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"mime"
	"net/url"
	"strings"
)

// Why the app of a request is not known.
var (
	// ErrUnreadable says that a server may read more out of a request than can
	// be read here: its type, its charset or its text is not one that is known.
	ErrUnreadable = errors.New("unreadable request")
	// ErrSeveralApps says that a request names more than one app.
	ErrSeveralApps = errors.New("several app ids")
)

// NamedApp returns the app id that a request names in its query and body, byte
// for byte as it stands there; nil where it names none. The names are appId
// and appIdEq, in any case, in a form or at the top of a JSON object or of each
// object of a JSON array.
//
// It is meant for a gate, so it is strict where SubjectsOf is not: every
// occurrence counts, not only the one that a server would take, and what
// cannot be read for certain is an error. contentType are all values of the
// request's Content-Type.
func NamedApp(contentType []string, rawQuery string, body []byte) ([]byte, error) {
	var app named
	if rawQuery != "" && !app.form([]byte(rawQuery)) {
		return nil, ErrUnreadable
	}
	if len(body) > 0 {
		var read bool
		switch encodingOf(contentType) {
		case formBody:
			read = app.form(body)
		case jsonBody:
			read = app.json(body)
		}
		if !read {
			return nil, ErrUnreadable
		}
	}
	if app.several {
		return nil, ErrSeveralApps
	}
	return app.id, nil
}

// named collects app ids.
type named struct {
	id      []byte // not nil once there was one
	several bool
}

var (
	appIDName   = []byte("appId")
	appIDEqName = []byte("appIdEq")
)

// add takes in one parameter or field.
func (a *named) add(name, value []byte) {
	if !bytes.EqualFold(name, appIDName) && !bytes.EqualFold(name, appIDEqName) {
		return
	}
	if value == nil {
		value = []byte{}
	}
	if a.id != nil && !bytes.Equal(a.id, value) {
		a.several = true
	}
	a.id = value
}

// form reads every parameter of an encoded form, and reports whether it could.
func (a *named) form(form []byte) bool {
	for len(form) > 0 {
		var pair []byte
		pair, form, _ = bytes.Cut(form, []byte{'&'})
		name, value, _ := bytes.Cut(pair, []byte{'='})
		name, ok1 := unescaped(name)
		value, ok2 := unescaped(value)
		if !ok1 || !ok2 {
			return false
		}
		a.add(name, value)
	}
	return true
}

// unescaped decodes a part of a form; mostly there is nothing to decode.
func unescaped(part []byte) ([]byte, bool) {
	if bytes.IndexByte(part, '%') < 0 && bytes.IndexByte(part, '+') < 0 {
		return part, true
	}
	s, err := url.QueryUnescape(string(part))
	return []byte(s), err == nil
}

// json reads an object or an array of objects, and reports whether it could.
func (a *named) json(body []byte) bool {
	object := func(v []byte) bool {
		return fields(v, func(name, value []byte) {
			if len(value) > 1 && value[0] == '"' { // Jackson takes "7" for 7
				value = value[1 : len(value)-1]
			} else if string(value) == "null" {
				return
			}
			a.add(name, value)
		})
	}
	return elements(body, object) || !a.several && object(body)
}

type encoding uint8

const (
	unknownBody encoding = iota
	formBody
	jsonBody
)

// encodingOf tells how a server reads a body: by one media type, in a charset
// whose ASCII is ASCII. Anything else could hide an app id.
func encodingOf(contentType []string) encoding {
	if len(contentType) != 1 {
		return unknownBody
	}
	switch contentType[0] { // what real clients send
	case "application/json; charset=utf-8", "application/json":
		return jsonBody
	case "application/x-www-form-urlencoded":
		return formBody
	}
	media, params, err := mime.ParseMediaType(contentType[0])
	if err != nil {
		return unknownBody
	}
	switch strings.ToLower(params["charset"]) {
	case "", "utf-8", "us-ascii", "iso-8859-1":
	default:
		return unknownBody
	}
	switch {
	case media == "application/x-www-form-urlencoded":
		return formBody
	case media == "application/json", strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json"):
		return jsonBody
	}
	return unknownBody
}

// LoginName returns the name of the app that a login is for; "" where it
// cannot be read. The arguments are the request's.
func (c *Call) LoginName(contentType, rawQuery string, body []byte) string {
	if c.Body == JSON {
		var name string
		if raw, ok := field(body, "appName"); !ok || json.Unmarshal(raw, &name) != nil {
			return ""
		}
		return name
	}
	name, _, ok := Parameter("appName", contentType, rawQuery, body)
	if !ok {
		return ""
	}
	return name
}
