package exchange

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"powerjob-shim/proxy/exchange/headercase"
	"powerjob-shim/rules/openapi"
)

// What mode: observe is made of. Every link decides and counts as ever, and the
// wire stays as it is; see Settings.Observing.

// observeHeaders counts what the header rules would do to an answer, and gives
// its fields that matter the names that the server wrote: clients look for one of
// them by its exact case, and net/http has lost it.
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
