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

// introduce adds a line to an answer that says who this shim is, below those of
// shims between it and the server. Only doctor asks for it, by a header that no
// client sends; so mode: observe adds it, too. sent is what the server itself
// sent of the auth header.
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

// sentAuth returns what the auth header's rules do to an answer, judged by how the
// server wrote the header, which headercase.Apply does not know: recased is every
// header that came in another case, a false included, whether or not its rule has a
// value. It is "" if the answer is not a server's, no rule is about the header, none
// has a value for one that is missing, or its spelling is not known.
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
