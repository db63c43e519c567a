package openapi

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// Whatever encoding/json takes for an object, field reads in the same way, but
// for keys with escapes, which it declines.
func FuzzField(f *testing.F) {
	for _, seed := range []string{
		`{"id":1}`, `{"a":{"id":[1,2]},"id":"x\"y"}`, `{"id":1,"id":2}`, ` { } `, `{"id":[{"id":{}}],"b":null}`, `{"\u0069d":1}`,
		`[1]`, `{"id":1}x`, `{"id":}`, `{"a":1,}`, `{"id":-1.5e10}`,
	} {
		f.Add([]byte(seed), "id")
	}
	f.Fuzz(func(t *testing.T, object []byte, name string) {
		if !utf8.Valid(object) || strings.ContainsAny(name, "\"\\") || !utf8.ValidString(name) {
			return // encoding/json replaces what is not UTF-8
		}
		got, ok := field(object, name)
		var want map[string]json.RawMessage
		err := json.Unmarshal(object, &want)
		switch {
		case ok && err == nil && want != nil:
			if string(got) != string(want[name]) {
				t.Fatalf("%s: %s is %q, want %q", object, name, got, want[name])
			}
		case ok && err == nil:
			t.Fatalf("%s is null, and was taken for an object", object)
		case !ok && err == nil && want != nil && !strings.Contains(string(object), `\`):
			t.Fatalf("%s was not read", object)
		}
	})
}
