package exchange

import (
	"net/http"
	"slices"
	"strings"

	"powerjob-shim/internal/doctor"
	"powerjob-shim/proxy/exchange/headercase"
	"powerjob-shim/rules"
	"powerjob-shim/rules/openapi"
)

// introduce adds a header line to an answer that describes this shim, below the lines of
// shims between it and the server. Only doctor asks for it, by a header that no client
// sends, so it is added in mode: observe too. sent is the result of sentAuth.
func (w *AnswerWriter) introduce(sent rules.HeaderAction) {
	shim := doctor.Shim{Version: w.version, Mode: "enforce", Header: sent}
	if w.ex.Snap.Observing {
		shim.Mode = "observe"
	}
	if w.ex.Group != nil {
		shim.Group = w.ex.Group.Name
	}
	h := w.Header()
	h[doctor.Header] = append(slices.Clone(h[doctor.Header]), shim.Mark())
}

// sentAuth returns what the auth header's rules do to an answer. Unlike
// headercase.Apply, it knows how the server wrote the header: every header that came in
// another case is recased, also a false, and whether or not its rule has a value. It
// returns "" if the answer is not a server's, if no rule is about the header, if the
// header is missing and no rule has a value, or if its spelling is not known.
func (ex *Exchange) sentAuth(h http.Header) rules.HeaderAction {
	ruled, adds := false, false
	for _, rule := range ex.Match.Headers {
		if strings.EqualFold(rule.Name, openapi.AuthHeader) {
			ruled, adds = true, adds || rule.Value != ""
		}
	}
	if !ex.FromUpstream || !ruled || ex.Spelled == nil {
		return ""
	}
	names := headercase.Spellings(ex.Spelled.Bytes(), openapi.AuthHeader)
	switch {
	case len(names) == 0 && !adds:
		return ""
	case len(names) == 0:
		return rules.HeaderAdded
	case slices.ContainsFunc(names, func(n string) bool { return n != openapi.AuthHeader }):
		return rules.HeaderRecased
	case headercase.IsFalse(headercase.AuthValue(h[openapi.AuthKey])):
		return rules.HeaderDenied
	}
	return rules.HeaderKept
}
