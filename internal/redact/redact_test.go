package redact

import "testing"

func TestUsersAndPasswordsAreHidden(t *testing.T) {
	for text, want := range map[string]string{
		"redis://user:PASS@host":   "redis://***@host",
		"redis://PASS@host":        "redis://***@host",
		"redis://user:P@SS@host":   "redis://***@host",
		"redis://user:P SS\"@host": "redis://***@host",
		"user:PASS@host:6379":      "***@host:6379",
		"http://user:PASS@[bad":    "http://***@[bad",
		"rediss://u:%zzPASS@h/%zz": "rediss://***@h/%zz",
		"ops@example.com":          "ops@example.com",
		"host:6379":                "host:6379",
		"":                         "",
	} {
		if got := Address(text); got != want {
			t.Errorf("Address(%q) is %q, want %q", text, got, want)
		}
	}
	for text, want := range map[string]string{
		`parse "http://user:PASS@[bad": missing`: `parse "http://***@[bad": missing`,
		`at user:PASS@host:6379`:                 `at ***@host:6379`,
		`"ops@example.com" is fine`:              `"ops@example.com" is fine`,
	} {
		if got := Sentence(text); got != want {
			t.Errorf("Sentence(%q) is %q, want %q", text, got, want)
		}
	}
}
