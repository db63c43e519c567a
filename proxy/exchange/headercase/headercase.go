package headercase

import (
	"net/http"
	"net/textproto"
	"strings"

	"powerjob-shim/rules"
	"powerjob-shim/rules/openapi"
)

// Apply applies one header rule to the header of an upstream's answer, just before it is
// written. It returns what it did; "": nothing.
//
// net/http and proxy/head canonicalise names in Set, Add and when they read, but not when
// they write. So Apply moves the values from the canonical key to one in exactly the
// rule's case, which reaches the wire unchanged. This must be the last step, because
// ReverseProxy copies an upstream's header with Add, after ModifyResponse.
//
// Apply does not know how the upstream itself wrote the name, which was canonicalised
// when it was read. So kept does not mean that the case was right, nor recased that it
// was wrong. Doctor is told which it was: see introduce.go of package exchange.
func Apply(h http.Header, rule rules.Header) rules.HeaderAction {
	var values []string
	found := false
	for name := range h { // in any case: an earlier rule may have changed it
		if strings.EqualFold(name, rule.Name) {
			values, found = h[name], true
			delete(h, name)
		}
	}
	switch {
	case !found && rule.Value == "":
		return ""
	case !found:
		h[rule.Name] = []string{rule.Value}
		return rules.HeaderAdded
	case strings.EqualFold(rule.Name, openapi.AuthHeader):
		// Once on the wire: OkHttp takes the last of several, others the first.
		value := AuthValue(values)
		h[rule.Name] = []string{value}
		if IsFalse(value) {
			return rules.HeaderDenied
		}
	default:
		h[rule.Name] = values
	}
	if rule.Value == "" {
		return rules.HeaderRecased
	}
	return rules.HeaderKept
}

// AuthValue returns the value of an upstream's auth header: of several, a false if there
// is one, else the first; "": there is none. A refusal that is taken for a success makes
// the client believe that a call was executed; a success that is taken for a refusal
// costs only a login and a repetition.
func AuthValue(values []string) string {
	for _, v := range values {
		if IsFalse(v) {
			return v
		}
	}
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// TellsTrue reports whether the caller of an upstream's answer with header h gets an
// auth header that says true: the upstream's own, or one that a rule adds.
func TellsTrue(h http.Header, headers []rules.Header) bool {
	value := AuthValue(h[openapi.AuthKey])
	for _, rule := range headers {
		if value == "" && strings.EqualFold(rule.Name, openapi.AuthHeader) {
			value = rule.Value
		}
	}
	return strings.EqualFold(strings.TrimSpace(value), "true")
}

// IsFalse reports whether a value of the auth header refuses a call.
func IsFalse(v string) bool { return strings.EqualFold(strings.TrimSpace(v), "false") }

// KeepNamed removes the names of header rules from a Connection header, so that these
// headers are not dropped as hop-by-hop: a rule would replace an upstream's false, once
// dropped, by true.
func KeepNamed(h http.Header, headers []rules.Header) {
	connection, ok := h["Connection"]
	if !ok || len(headers) == 0 {
		return
	}
	var kept []string
	for _, line := range connection {
		for token := range strings.SplitSeq(line, ",") {
			token = textproto.TrimString(token)
			named := strings.EqualFold(token, openapi.AuthHeader)
			for _, rule := range headers {
				named = named || strings.EqualFold(token, rule.Name)
			}
			if !named && token != "" {
				kept = append(kept, token)
			}
		}
	}
	h["Connection"] = kept
}
