package headercase

import (
	"net/http"
	"net/textproto"
	"strings"

	"powerjob-shim/rules"
	"powerjob-shim/rules/openapi"
)

// Apply carries out one header rule on the header of an upstream's
// answer, just before it is written.
//
// A key of exactly the rule's case in the map reaches the wire as it is:
// net/http and proxy/head canonicalise in Set, Add and when they read, not when they write. So
// the values move from the canonical key to that one. It has to happen here,
// because ReverseProxy copies an upstream's header with Add, after
// ModifyResponse.
//
// How the upstream itself wrote the name is not known: net/http canonicalised
// it when reading. kept therefore does not say that the case was right, nor recased
// that it was wrong. Doctor is told both, see the package exchange's introduce.go.
//
// It returns "" where there was nothing to do.
func Apply(h http.Header, rule rules.Header) rules.HeaderAction {
	var values []string
	found := false
	for name := range h { // whatever its case: an earlier rule may have been here
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

// AuthValue chooses among the values of an upstream's auth header: a false
// wins, else the first. A refusal that is taken for success would make the
// client believe that a call was executed; a success that is taken for a
// refusal costs one login and one repetition.
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

// TellsTrue reports whether an upstream's answer with header h goes to the
// caller with a header that says true: its own, or the one that a rule adds.
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

// KeepNamed takes the names of header rules out of a Connection header, so
// that ReverseProxy does not strip as hop-by-hop what the rules are about: an
// upstream's false, once stripped, would be replaced by true.
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
