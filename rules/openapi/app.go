package openapi

import (
	"bytes"
	"errors"
	"mime"
	"net/url"
	"strings"
)

// Why the app of a request is not known.
var (
	// ErrUnreadable says that a server may read more out of a request than can
	// be read here: its type, its charset or its text is not known.
	ErrUnreadable = errors.New("unreadable request")
	// ErrSeveralApps says that a request names more than one app, or one app in a
	// way that some servers read and others do not.
	ErrSeveralApps = errors.New("several app ids")
)

// Apps is what a request says about its app. Where both are there, they are equal.
type Apps struct {
	// Read is the id that a server reads as the call's app, and Named an id that the
	// request names anywhere, both in digits; nil: none.
	Read, Named []byte
}

// AppsOf reads which app a request is for, as a server reads it, and what else in
// it names one: any parameter of query or body and any field at the top of a JSON
// object, or of each object of a JSON array, whose name is appId or appIdEq in
// any case. c is nil for a call that is not in the catalogue: nobody knows what a
// server reads of it.
//
// It is meant for a gate, so it is strict where SubjectsOf is not: two different
// ids are an error, whichever of them a server would take, and so is anything that
// cannot be read for certain. contentType are all values of the request's
// Content-Type.
func (c *Call) AppsOf(contentType []string, rawQuery string, body []byte) (Apps, error) {
	var app named
	if c != nil {
		app.reads, app.form = c.App, c.Body == Form
	}
	if rawQuery != "" && !app.readForm([]byte(rawQuery)) {
		return Apps{}, ErrUnreadable
	}
	if len(body) > 0 {
		read := false
		switch encodingOf(contentType) {
		case formBody:
			read = app.readForm(body)
		case jsonBody:
			read = app.readJSON(body)
		}
		if !read {
			return Apps{}, ErrUnreadable
		}
	}
	if app.several {
		return Apps{}, ErrSeveralApps
	}
	return Apps{Read: app.read, Named: app.id}, nil
}

// named collects app ids.
type named struct {
	reads string // the name that a server looks for; "": none
	form  bool   // it looks in query and form, else in JSON
	found bool   // the form has had that name: the first one counts

	read, id []byte // see Apps
	several  bool
}

// mention takes in the app id that something names; nil: no app.
func (a *named) mention(id []byte) {
	if id == nil {
		return
	}
	if a.id != nil && !bytes.Equal(a.id, id) {
		a.several = true
	}
	a.id = id
}

// isAppName reports whether name is one that calls have for an app's id.
func isAppName(name []byte) bool {
	const short, long = "appId", "appIdEq"
	return len(name) == len(short) && bytes.EqualFold(name, []byte(short)) ||
		len(name) == len(long) && bytes.EqualFold(name, []byte(long))
}

// readForm reads every parameter of an encoded form, and reports whether it could.
func (a *named) readForm(form []byte) bool {
	return parameters(form, func(name, value []byte) {
		if !isAppName(name) {
			return
		}
		id, ok := digits(value)
		a.several = a.several || !ok
		a.mention(id)
		if a.form && !a.found && string(name) == a.reads {
			a.read, a.found = id, true
		}
	})
}

// parameters calls each for every parameter of an encoded form. It reports false, and
// ends, at one that it cannot decode.
func parameters(form []byte, each func(name, value []byte)) bool {
	for len(form) > 0 {
		var pair []byte
		pair, form, _ = bytes.Cut(form, []byte{'&'})
		name, value, _ := bytes.Cut(pair, []byte{'='})
		name, ok1 := unescaped(name)
		value, ok2 := unescaped(value)
		if !ok1 || !ok2 {
			return false
		}
		each(name, value)
	}
	return true
}

// unescaped decodes a part of a form. Mostly there is nothing to decode.
func unescaped(part []byte) ([]byte, bool) {
	if bytes.IndexByte(part, '%') < 0 && bytes.IndexByte(part, '+') < 0 {
		return part, true
	}
	s, err := url.QueryUnescape(string(part))
	return []byte(s), err == nil
}

// readJSON reads an object or an array of objects, and reports whether it could.
func (a *named) readJSON(body []byte) bool { //nolint:gocognit // one pass over the fields, whose cases depend on each other
	object := func(v []byte) bool {
		return fields(v, func(name, value []byte) {
			if !isAppName(name) {
				return
			}
			if len(value) > 1 && value[0] == '"' { // Jackson takes "7" for 7
				value = value[1 : len(value)-1]
			}
			if string(value) == "null" { // and "null" for null
				value = nil
			}
			id, ok := digits(value)
			a.several = a.several || !ok
			a.mention(id)
			if !a.form && string(name) == a.reads {
				a.read = id
			}
		})
	}
	return elements(body, object) || !a.several && object(body)
}

// digits returns the number that a server reads from an app id's text, without
// sign and leading zeros; nil for text that it takes for no app. Servers read more
// notations: hexadecimal numbers, fractions, the digits of other scripts. No client
// uses them: ok is false, and they count as another app's.
func digits(text []byte) (id []byte, ok bool) {
	text = bytes.Trim(text, " \t\r\n")
	if len(text) == 0 {
		return nil, true
	}
	text = bytes.TrimPrefix(text, []byte{'+'})
	for _, c := range text {
		if c < '0' || c > '9' {
			return nil, false
		}
	}
	for len(text) > 1 && text[0] == '0' {
		text = text[1:]
	}
	return text, len(text) > 0 && len(text) <= 19
}

type encoding uint8

const (
	unknownBody encoding = iota
	formBody
	jsonBody
)

// encodingOf tells how a server reads a body. It knows only bodies with one media type,
// in a charset that contains ASCII. Anything else could hide an app id.
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
