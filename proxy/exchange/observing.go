package exchange

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"powerjob-shim/proxy/exchange/headercase"
	"powerjob-shim/rules/openapi"
)

// observeHeaders is the part of mode: observe that concerns an answer's header. It counts
// what the header rules would do, and restores the names of the auth header and the
// rules' headers as the server wrote them: clients look for one of them by its exact
// case, which net/http has lost.
func (w *AnswerWriter) observeHeaders() {
	h, trial := w.Header(), http.Header{}
	for _, rule := range w.ex.Match.Headers {
		name := textproto.CanonicalMIMEHeaderKey(rule.Name)
		if values, ok := h[name]; ok {
			trial[name] = values
		}
	}
	for _, rule := range w.ex.Match.Headers {
		if action := headercase.Apply(trial, rule); action != "" {
			w.metrics.HeaderRule(action)
		}
	}
	names := []string{openapi.AuthHeader} // also where no rule is about it
	for _, rule := range w.ex.Match.Headers {
		if !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, rule.Name) }) {
			names = append(names, rule.Name)
		}
	}
	var head []byte
	if w.ex.Spelled != nil {
		head = w.ex.Spelled.Bytes()
	}
	for _, name := range names {
		headercase.Respell(h, head, name)
	}
}
