// Package redact hides secrets that people write into addresses.
package redact

import (
	"regexp"
	"strings"
)

const hidden = "***"

// Address returns an address with *** in place of a user and password, however
// malformed the rest is. A mail address, which has neither a scheme nor a colon,
// stays as it is.
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

// withUser finds user and password of addresses inside a sentence.
var withUser = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)[^\s"]*@|[^\s":/@]+:[^\s"/]*@`)

// Sentence does the same to addresses that a text quotes, such as an error of
// net/url.
func Sentence(text string) string {
	return withUser.ReplaceAllString(text, "${1}"+hidden+"@")
}
