package head

import (
	"bytes"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

const (
	// MaxPlain bounds a plain request's head, in bytes.
	MaxPlain = 16 << 10

	// Method is how plain requests begin.
	Method = "POST "
	proto  = " HTTP/1.1"
)

// Plain is what must be known of a plain request's head before it is parsed.
type Plain struct {
	Target string // as it came
	Length int64  // of the body; 0: there is none
	Closes bool   // the caller wants the connection closed after the answer
	Size   int    // of the whole head, in bytes
}

// ReadPlain reads a whole head, with the empty line that ends it, or the lines of it
// that have come. It is strict: ok is false for whatever real clients do not write,
// even if it were valid.
//
// The head ends there, and nowhere else: each line ends with CRLF, no line goes on
// in the next one, and no byte is a control character but for tabs in values.
func ReadPlain(head []byte, whole bool) (h Plain, ok bool) {
	line, rest, _ := bytes.Cut(head, CRLF)
	if !bytes.HasPrefix(line, []byte(Method)) || !bytes.HasSuffix(line, []byte(proto)) || len(line) <= len(Method)+len(proto) {
		return h, false
	}
	h.Target = string(line[len(Method) : len(line)-len(proto)])
	if !plainTarget(h.Target) {
		return h, false
	}
	seen := fields{head: &h}
	for {
		if !whole && len(rest) == 0 {
			return h, true
		}
		if line, rest, ok = bytes.Cut(rest, CRLF); !ok {
			return h, false
		}
		if len(line) == 0 {
			h.Size = len(head)
			return h, len(rest) == 0 && seen.host
		}
		if !seen.add(line) {
			return h, false
		}
	}
}

// Where a line of a head ends, and all of it. Read them only.
var (
	CRLF = []byte("\r\n")
	End  = []byte("\r\n\r\n")
)

// Parse fills r in from the beginning of text, which is a plain head that h was read
// from: what http.ReadRequest makes of it, but for the body. The values are parts of
// one string: whoever keeps one for long must clone it.
func (h Plain) Parse(text []byte, r *http.Request) {
	r.Method, r.Proto, r.ProtoMajor, r.ProtoMinor = http.MethodPost, "HTTP/1.1", 1, 1
	r.RequestURI, r.ContentLength, r.Close = h.Target, h.Length, h.Closes
	path, query, found := strings.Cut(h.Target, "?")
	r.URL = &url.URL{Path: path, RawQuery: query, ForceQuery: found && query == ""}

	_, rest, _ := strings.Cut(string(text[:h.Size-len(CRLF)]), "\r\n")
	lines := strings.Count(rest, "\r\n")
	r.Header = make(http.Header, lines+4) // handlers add some
	values := make([]string, lines)
	for line := range strings.SplitSeq(rest[:len(rest)-len(CRLF)], "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		value = strings.Trim(value, " \t")
		name = Canonical(name)
		if earlier, ok := r.Header[name]; ok {
			r.Header[name] = append(earlier, value)
			continue
		}
		values[0] = value
		r.Header[name], values = values[:1:1], values[1:]
	}
	r.Host = r.Header.Get("Host")
	delete(r.Header, "Host")
	if r.Header.Get("Pragma") == "no-cache" && r.Header["Cache-Control"] == nil { // as net/http has it (RFC 9111, 5.4)
		r.Header["Cache-Control"] = []string{"no-cache"}
	}
}

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
	head         *Plain
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
		f.head.Closes = f.head.Closes || strings.EqualFold(v, "close")
		ok = f.head.Closes || strings.EqualFold(v, "keep-alive")
	case "content-length":
		n, err := strconv.ParseUint(v, 10, 62)
		ok = !f.length && err == nil && v[0] != '+'
		f.length, f.head.Length = true, int64(n)
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
