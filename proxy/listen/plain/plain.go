package plain

import (
	"bytes"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

const (
	// maxHead bounds a plain request's head.
	maxHead = 16 << 10

	method = "POST "
	proto  = " HTTP/1.1"
)

// plainHead is what must be known of a head before it is parsed.
type plainHead struct {
	target string // as it came
	length int64  // of the body; 0: there is none
	closes bool   // the caller wants the connection closed after the answer
	size   int    // of the whole head, in bytes
}

// readPlain reads a whole head, with the empty line that ends it, or the lines of it
// that have come. It is strict: ok is false for whatever real clients do not write,
// even if it were valid.
//
// The head ends there, and nowhere else: each line ends with CRLF, no line goes on
// in the next one, and no byte is a control character but for tabs in values.
func readPlain(head []byte, whole bool) (h plainHead, ok bool) {
	line, rest, _ := bytes.Cut(head, crlf)
	if !bytes.HasPrefix(line, []byte(method)) || !bytes.HasSuffix(line, []byte(proto)) || len(line) <= len(method)+len(proto) {
		return h, false
	}
	h.target = string(line[len(method) : len(line)-len(proto)])
	if !plainTarget(h.target) {
		return h, false
	}
	seen := fields{head: &h}
	for {
		if !whole && len(rest) == 0 {
			return h, true
		}
		if line, rest, ok = bytes.Cut(rest, crlf); !ok {
			return h, false
		}
		if len(line) == 0 {
			h.size = len(head)
			return h, len(rest) == 0 && seen.host
		}
		if !seen.add(line) {
			return h, false
		}
	}
}

var (
	crlf    = []byte("\r\n")
	headEnd = []byte("\r\n\r\n")
)

// plainTarget reports whether a target is in origin-form, with a path that has
// only one reading.
func plainTarget(target string) bool {
	path, query, _ := strings.Cut(target, "?")
	if path == "" || path[0] != '/' {
		return false
	}
	for i := range len(path) {
		c := path[i]
		if c != '/' && c != '-' && c != '_' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	for i := range len(query) {
		if c := query[i]; c <= ' ' || c >= 0x7f || c == '#' {
			return false
		}
	}
	return true
}

// fields is what was seen of a head's fields.
type fields struct {
	head         *plainHead
	host, length bool
}

// add takes a line, and reports whether the head is plain so far.
func (f *fields) add(line []byte) bool {
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok || len(name) == 0 || !isToken(name) || !isValue(value) {
		return false
	}
	switch len(name) {
	case len("TE"), len("Host"), len("Expect"), len("Upgrade"), len("Connection"), len("Content-Length"), len("Transfer-Encoding"):
	default:
		return true
	}
	switch v := string(bytes.Trim(value, " \t")); strings.ToLower(string(name)) {
	case "te", "expect", "upgrade", "trailer", "transfer-encoding", "http2-settings":
		return false
	case "host":
		ok = !f.host && v != "" && httpguts.ValidHostHeader(v)
		f.host = true
	case "connection":
		f.head.closes = f.head.closes || strings.EqualFold(v, "close")
		ok = f.head.closes || strings.EqualFold(v, "keep-alive")
	case "content-length":
		n, err := strconv.ParseUint(v, 10, 62)
		ok = !f.length && err == nil && v[0] != '+'
		f.length, f.head.length = true, int64(n)
	}
	return ok
}

func isToken(name []byte) bool {
	for _, c := range name {
		if !token[c] {
			return false
		}
	}
	return true
}

// isValue reports whether a value has no control characters but tabs.
func isValue(value []byte) bool {
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// token has the bytes that a field's name may consist of.
var token = func() (is [256]bool) {
	for c := range is {
		is[c] = httpguts.IsTokenRune(rune(c)) && c < 0x80
	}
	return is
}()
