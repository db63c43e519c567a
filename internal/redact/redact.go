// Package redact hides secrets that people write into addresses.
package redact

import (
	"regexp"
	"strings"
)

const hidden = "***"

// Address replaces the user and password in an address by ***, even if the rest is
// malformed. A mail address, which has neither a scheme nor a colon, stays as it is.
func Address(text string) string {
	at := strings.LastIndex(text, "@")
	if at < 0 {
		return text
	}
	scheme := ""
	if i := strings.Index(text[:at], "://"); i >= 0 {
		scheme = text[:i+len("://")]
	} else if !strings.Contains(text[:at], ":") {
		return text
	}
	return scheme + hidden + text[at:]
}

// withUser matches the user and password of an address within a sentence.
var withUser = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)[^\s"]*@|[^\s":/@]+:[^\s"/]*@`)

// Sentence does the same in each address that a text, such as an error of net/url,
// contains.
func Sentence(text string) string {
	return withUser.ReplaceAllString(text, "${1}"+hidden+"@")
}
