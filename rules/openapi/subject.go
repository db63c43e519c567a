package openapi

import (
	"bytes"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Subject is one job, workflow, node or instance. The zero value names nothing.
type Subject struct {
	Kind SubjectKind
	ID   int64
}

// Subjects is what a changing request says about the things that it changes.
type Subjects struct {
	Known []Subject // named by id, each once
	// Creates says that (also) a new thing is made, whose id only the answer tells.
	Creates bool
	// Unknown says that the request could not be read: it may change anything.
	Unknown bool
	// Unlisted says why it is Unknown: the catalogue does not have the call. Most
	// such calls change little or nothing, and many do not exist.
	Unlisted bool
}

// OfUnlisted are the subjects of a changing call that the catalogue does not know.
var OfUnlisted = Subjects{Unknown: true, Unlisted: true}

// maxSubjects bounds what one addWorkflowNode array may name; beyond it the
// subject counts as unknown.
const maxSubjects = 64

// SubjectsOf reads which things a changing call is about. In forms rawQuery comes
// before the body, as Spring reads it. It returns the zero value for calls that
// change nothing.
func (c *Call) SubjectsOf(contentType, rawQuery string, body []byte) Subjects {
	return c.AppendSubjects(nil, contentType, rawQuery, body)
}

// AppendSubjects is SubjectsOf, with Known in the memory of known, which must be empty:
// if that has enough room, nothing is allocated.
func (c *Call) AppendSubjects(known []Subject, contentType, rawQuery string, body []byte) Subjects {
	if c.Kind != Change {
		return Subjects{}
	}
	unknown := Subjects{Unknown: true}
	switch c.Body {
	case Form:
		raw, found, ok := Parameter(c.IDField, contentType, rawQuery, body)
		if !ok || !found {
			return unknown
		}
		id, err := strconv.ParseInt(strings.TrimSpace(raw), 10, 64)
		if err != nil {
			return unknown
		}
		return Subjects{Known: append(known, Subject{c.Subject, id})}
	case JSON:
		s := Subjects{Known: known}
		if !s.add(c, body) {
			return unknown
		}
		return s
	case JSONArray:
		s := Subjects{Known: known}
		ok := elements(body, func(v []byte) bool { return len(s.Known) < maxSubjects && s.add(c, v) })
		if !ok {
			return unknown
		}
		return s
	}
	return unknown
}

// add notes the thing that one JSON object is about, and reports whether it could be read.
func (s *Subjects) add(c *Call, object []byte) bool {
	raw, ok := field(object, c.IDField)
	if !ok {
		return false
	}
	if raw == nil || string(raw) == "null" {
		s.Creates = c.saves()
		return s.Creates
	}
	id, ok := integer(raw)
	if subject := (Subject{c.Subject, id}); ok && !slices.Contains(s.Known, subject) {
		s.Known = append(s.Known, subject)
	}
	return ok
}

// Makes reports whether a request about s makes something that only its answer
// names. A save that names an id changes that thing.
func (c *Call) Makes(s Subjects) bool {
	return c.Creates != NoSubject && (s.Creates || s.Unknown || !c.saves())
}

// saves reports whether the call changes the thing that its request names, and makes
// one where it names none.
func (c *Call) saves() bool { return c.Body != Form && c.Subject == c.Creates }

// integer reads a JSON number or, as Jackson does, a string with one in it.
func integer(raw []byte) (int64, bool) {
	id, err := strconv.ParseInt(string(bytes.Trim(raw, `"`)), 10, 64)
	return id, err == nil
}

// Parameter returns the first value of a form parameter, from the query first,
// then from a urlencoded body. ok is false where a part of the input that may
// hold the parameter cannot be read (multipart, a bad escape).
func Parameter(name, contentType, rawQuery string, body []byte) (value string, found, ok bool) {
	value, found, ok = firstOf(name, rawQuery)
	if found || !ok {
		return value, found, ok
	}
	switch mediaType(contentType) {
	case "application/x-www-form-urlencoded":
		return firstOf(name, string(body))
	case "multipart/form-data":
		return "", false, false
	}
	return "", false, true
}

func firstOf(name, form string) (value string, found, ok bool) {
	for form != "" {
		var pair string
		pair, form, _ = strings.Cut(form, "&")
		k, v, _ := strings.Cut(pair, "=")
		k, err := url.QueryUnescape(k)
		if err != nil {
			return "", false, false
		}
		if k != name {
			continue
		}
		v, err = url.QueryUnescape(v)
		return v, err == nil, err == nil
	}
	return "", false, true
}

func mediaType(contentType string) string {
	t, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(t))
}
