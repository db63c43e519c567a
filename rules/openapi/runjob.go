package openapi

import (
	"bytes"
	"encoding/json"
	"maps"
	"mime"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// RunJob is a runJob2 request (tech.powerjob.common.request.http.RunJobRequest,
// 5.1.2) as the form of runJob, which every older server has.
type RunJob struct {
	// Form is the urlencoded form: jobId, appId, instanceParams and delay, each
	// only where the request has a value for it.
	Form string
	// Lost are the names of fields that have a value and no place in the form:
	// outerKey, extendValue, and whatever newer clients may add.
	Lost []string
}

// RunJobOf reads a runJob2 request. Of several fields with one name the last one counts,
// as for the gate and SubjectsOf. contentType are all values of the request's
// Content-Type. ok is false for a request that cannot be read for certain, and
// so must not be translated.
func RunJobOf(contentType []string, body []byte) (run RunJob, ok bool) { //nolint:gocognit // one pass over the fields, whose cases depend on each other
	if encodingOf(contentType) != jsonBody || !utf8.Valid(body) || !saysUTF8(contentType[0]) && !ascii(body) {
		return RunJob{}, false
	}
	values, lost := map[string]string{}, map[string]bool{}
	legible := true
	if !fields(body, func(key, raw []byte) {
		name := string(key)
		value, set, read := scalar(raw)
		switch name {
		case "jobId", "appId", "delay":
			if set && read {
				var n int64
				if n, read = integer(raw); read {
					value = strconv.FormatInt(n, 10)
				}
			}
		case "instanceParams":
		default: // it only matters whether they have a value
			lost[name], read = set && value != "" || !read, true
			return
		}
		legible = legible && read
		if delete(values, name); set {
			values[name] = value
		}
	}) || !legible || values["jobId"] == "" {
		return RunJob{}, false
	}
	form := url.Values{}
	for name, value := range values {
		form.Set(name, value)
	}
	run.Form = form.Encode()
	for _, name := range slices.Sorted(maps.Keys(lost)) {
		if lost[name] {
			run.Lost = append(run.Lost, name)
		}
	}
	return run, true
}

// scalar returns the text of a JSON string, number or boolean. set is false for
// null. ok is false for an object or an array, and for text that is not Unicode,
// which servers read differently.
func scalar(raw []byte) (text string, set, ok bool) {
	switch {
	case len(raw) == 0:
		return "", false, false
	case string(raw) == "null":
		return "", false, true
	case raw[0] == '"':
		err := json.Unmarshal(raw, &text)
		// Unmarshal replaces what is not Unicode.
		return text, true, err == nil && (!strings.ContainsRune(text, utf8.RuneError) || bytes.ContainsRune(raw, utf8.RuneError))
	case raw[0] == '{', raw[0] == '[':
		return "", true, false
	}
	return string(raw), true, json.Valid(raw)
}

// saysUTF8 reports whether a Content-Type's charset is UTF-8, which is the default.
func saysUTF8(contentType string) bool {
	_, params, err := mime.ParseMediaType(contentType)
	charset := strings.ToLower(params["charset"])
	return err == nil && (charset == "" || charset == "utf-8")
}

func ascii(text []byte) bool {
	return !bytes.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf })
}
