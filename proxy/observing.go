package proxy

import (
	"bytes"
	"errors"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"powerjob-shim/rules/openapi"
)

// What mode: observe is made of. Every link decides and counts as ever, and the
// wire stays as it is; see Settings.Observing.

// noteMode tells metrics and log which mode is on.
func (p *Proxy) noteMode(observing, before bool) {
	value := 0.0
	if observing {
		value = 1
	}
	p.metrics.Observing.Set(value)
	if observing && !before {
		p.log.Info("mode: observe; nothing on the wire is changed: what would be added, dropped or refused is only counted")
	}
}

// observeHeaders counts what the header rules would do to an answer, and gives
// its fields that matter the names that the server wrote: clients look for one of
// them by its exact case, and net/http has lost it.
func (w *answerWriter) observeHeaders() {
	h, trial := w.Header(), http.Header{}
	for _, rule := range w.ex.match.Headers {
		name := textproto.CanonicalMIMEHeaderKey(rule.Name)
		if values, ok := h[name]; ok {
			trial[name] = values
		}
	}
	for _, rule := range w.ex.match.Headers {
		if action := applyHeader(trial, rule); action != "" {
			w.metrics.HeaderRule(action)
		}
	}
	names := []string{openapi.AuthHeader} // also where no rule is about it
	for _, rule := range w.ex.match.Headers {
		if !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, rule.Name) }) {
			names = append(names, rule.Name)
		}
	}
	for _, name := range names {
		w.ex.respell(h, name)
	}
}

// respell writes a field under the names that the server gave it. Where these are
// not known, behind a head of more than 64 KiB, it is name.
func (ex *exchange) respell(h http.Header, name string) {
	canonical := textproto.CanonicalMIMEHeaderKey(name)
	values, ok := h[canonical]
	if !ok {
		return
	}
	var names []string
	if ex.spelled != nil {
		names = spellings(ex.spelled.Bytes(), name)
	}
	delete(h, canonical)
	if len(names) != len(values) {
		h[name] = values
		return
	}
	for i, name := range names {
		h[name] = append(h[name], values[i])
	}
}

// spellings returns each occurrence of a field's name in the last head of an
// answer, as it stands there.
func spellings(head []byte, name string) (found []string) {
	final := false
	for first := true; len(head) > 0; first = false {
		var line []byte
		line, head, _ = bytes.Cut(head, []byte{'\n'})
		line = bytes.TrimSuffix(line, []byte{'\r'})
		switch {
		case first || len(line) > 5 && bytes.HasPrefix(line, []byte("HTTP/")):
			_, status, _ := bytes.Cut(line, []byte{' '})
			final = !bytes.HasPrefix(status, []byte{'1'})
		case len(line) == 0 && final:
			return found
		case final:
			if key, _, ok := bytes.Cut(line, []byte{':'}); ok && strings.EqualFold(string(key), name) {
				found = append(found, string(key))
			}
		}
	}
	return found
}

// breaksOff reports whether an answer that broke off is to do so for its caller
// too, as it would without the shim.
func (rec *recorder) breaksOff(ex *exchange) bool {
	rec.broken = rec.asItCame && rec.status != 0 && ex.fromUpstream
	return rec.broken
}

// writeAsItCame is writeWhole that leaves the answer's framing as it is.
func writeAsItCame(w http.ResponseWriter, status int, body []byte) error {
	w.WriteHeader(status)
	if _, err := w.Write(body); err != nil && !errors.Is(err, http.ErrBodyNotAllowed) {
		return err
	}
	return http.NewResponseController(w).Flush()
}
