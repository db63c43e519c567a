package headercase

import (
	"bytes"
	"net/http"
	"net/textproto"
	"strings"
)

// Respell moves a field to the names under which the server wrote it in head. If head
// does not have them all, as for a field beyond its first 64 KiB, the field gets name.
func Respell(h http.Header, head []byte, name string) {
	canonical := textproto.CanonicalMIMEHeaderKey(name)
	values, ok := h[canonical]
	if !ok {
		return
	}
	names := Spellings(head, name)
	delete(h, canonical)
	if len(names) != len(values) {
		h[name] = values
		return
	}
	for i, name := range names {
		h[name] = append(h[name], values[i])
	}
}

// Spellings returns each occurrence of a field's name, as it was written, in the head of
// the final answer. Informational answers may come before it.
func Spellings(head []byte, name string) (found []string) {
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
