package doctor

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"powerjob-shim/internal/wireclient"
	"powerjob-shim/rules/openapi"
)

// markHeader is the header with a shim's decision about a call.
const markHeader = "X-Powerjob-Shim"

// sight is the answer to a probe.
type sight struct {
	wireclient.Response
	envelope bool // the body is PowerJob's envelope
	success  bool
	message  string
	code     string
}

func look(r wireclient.Response) sight {
	var e struct {
		Success *bool  `json:"success"`
		Message string `json:"message"`
		Code    string `json:"code"`
	}
	s := sight{Response: r}
	if json.Unmarshal(r.Body, &e) == nil && e.Success != nil {
		s.envelope, s.success, s.message, s.code = true, *e.Success, e.Message, e.Code
	}
	return s
}

// headerState says how the Java client sees the auth header of an answer.
type headerState uint8

const (
	headerNone   headerState = iota
	headerCased              // sent, but not under the exact name that the client looks for
	headerDenied             // false
	headerPassed             // true
	headerOdd                // anything else
)

func (s sight) header() headerState {
	switch value := s.Get(openapi.AuthHeader); {
	case s.authFields() == nil:
		return headerNone
	case value == "":
		return headerCased
	case strings.EqualFold(value, "true"):
		return headerPassed
	case strings.EqualFold(value, "false"):
		return headerDenied
	default:
		return headerOdd
	}
}

// authFields returns the auth header's fields, whatever the case of their names.
func (s sight) authFields() (fields []wireclient.Field) {
	for _, f := range s.Header {
		if strings.EqualFold(f.Name, openapi.AuthHeader) {
			fields = append(fields, f)
		}
	}
	return fields
}

// fact is the report's line about one probe.
func (s sight) fact(call string) string {
	line := fmt.Sprintf("%-12s %d", call, s.Status)
	fields := s.authFields()
	if fields == nil {
		return line + ", no " + openapi.AuthHeader
	}
	for _, f := range fields {
		line += fmt.Sprintf(", %s: %s", f.Name, f.Value)
	}
	return line
}

// value returns a field's first value, whatever the case of its name; "": none.
func (s sight) value(name string) string {
	i := slices.IndexFunc(s.Header, func(f wireclient.Field) bool { return strings.EqualFold(f.Name, name) })
	if i < 0 {
		return ""
	}
	return s.Header[i].Value
}

// refusedByCheck reports whether the server refused a call for its missing token, so
// that its check is on (OpenApiSecurityServiceImpl).
func (s sight) refusedByCheck() bool {
	return s.envelope && !s.success && (s.code == "-1002" || s.code == "-300" || s.code == "-401")
}

// servers404 reports whether a 404 is a PowerJob server's own, not another web
// server's: under its context path Spring answers, elsewhere Undertow, whose answer
// is empty and names no server.
func (s sight) servers404() bool {
	return s.unmapped() || len(s.Body) == 0 && s.value("Server") == ""
}

// unmapped reports whether a Spring server answered that it has nothing at the path
// (BasicErrorController).
func (s sight) unmapped() bool {
	var e struct {
		Status int     `json:"status"`
		Error  string  `json:"error"`
		Path   *string `json:"path"`
	}
	return s.Status == 404 && json.Unmarshal(s.Body, &e) == nil && e.Status == 404 && e.Error != "" && e.Path != nil
}

// outsidePrefix reports whether a shim did not take the request for a call.
func (s sight) outsidePrefix() bool { return s.value(markHeader) == "outside-prefix" }

// saysShim reports whether a shim answered this itself, or says in the answer why it
// refuses.
func (s sight) saysShim() bool { return strings.Contains(s.message, "powerjob-shim: ") }
