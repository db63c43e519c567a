package head

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

const (
	// MaxPlain bounds a plain request's head, in bytes.
	MaxPlain = 16 << 10

	// Method is what every plain request begins with.
	Method = "POST "
	proto  = " HTTP/1.1"
)

// Plain is a plain request's head. Its strings share the memory of the whole head:
// clone one to keep it for long.
type Plain struct {
	Target string // as received
	host   string
	header http.Header // nil if the head is not complete
	Length int64       // of the body, in bytes; 0: there is none
	Closes bool        // the caller wants the connection closed after the answer
	Size   int         // of the complete head, in bytes; 0: it is not complete
}

// ReadPlain reads a request's head. If whole is true, head is a complete one, with the
// empty line that ends it; else it is the complete lines that have arrived so far. It
// is strict: ok is false for everything that real clients do not write, even if it is
// valid.
//
// A plain head can end in one place only: each line ends with CRLF, no line continues
// the one before, and the only control characters are tabs in values.
func ReadPlain(head []byte, whole bool) (h Plain, ok bool) {
	line, rest, _ := strings.Cut(string(head), "\r\n")
	if !strings.HasPrefix(line, Method) || !strings.HasSuffix(line, proto) || len(line) <= len(Method)+len(proto) {
		return h, false
	}
	h.Target = line[len(Method) : len(line)-len(proto)]
	if !plainTarget(h.Target) {
		return h, false
	}
	seen := fields{head: &h}
	if whole {
		seen.keeper = newKeeper(rest)
		h.header = seen.header
	}
	for {
		if !whole && len(rest) == 0 {
			return h, true
		}
		if line, rest, ok = strings.Cut(rest, "\r\n"); !ok {
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

// CRLF ends a line of a head, and End the whole head. Do not change them.
var (
	CRLF = []byte("\r\n")
	End  = []byte("\r\n\r\n")
)

// Fill sets the fields of r as http.ReadRequest does for a complete head, except for
// the body. Call it once only: r owns the header after that.
func (h Plain) Fill(r *http.Request) {
	r.Method, r.Proto, r.ProtoMajor, r.ProtoMinor = http.MethodPost, "HTTP/1.1", 1, 1
	r.RequestURI, r.ContentLength, r.Close = h.Target, h.Length, h.Closes
	path, query, found := strings.Cut(h.Target, "?")
	r.URL = &url.URL{Path: path, RawQuery: query, ForceQuery: found && query == ""}
	r.Host, r.Header = h.host, h.header
	if v := r.Header["Pragma"]; len(v) > 0 && v[0] == "no-cache" && r.Header["Cache-Control"] == nil { // as net/http does (RFC 9111, 5.4)
		r.Header["Cache-Control"] = []string{"no-cache"}
	}
}

// plainTarget reports whether a target is in origin-form, with a path that can be
// read in one way only.
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

// fields reads a head's fields one by one.
type fields struct {
	head         *Plain
	host, length bool
	keeper
}

// add reads a field's line, and reports whether the head is still plain.
func (f *fields) add(line string) bool {
	name, value, ok := cutField(line)
	if !ok || !f.judge(name, value) {
		return false
	}
	if f.header == nil {
		return true
	}
	if name == "Host" {
		f.head.host = value
	} else {
		f.keep(name, value)
	}
	return true
}

// judge reports whether a plain request may have this field, and notes in head what it
// says of the body and the connection. name is canonical.
func (f *fields) judge(name, v string) (ok bool) {
	switch name {
	case "Te", "Expect", "Upgrade", "Trailer", "Transfer-Encoding", "Http2-Settings":
		return false
	case "Host":
		ok = !f.host && v != "" && httpguts.ValidHostHeader(v)
		f.host = true
	case "Connection":
		f.head.Closes = f.head.Closes || strings.EqualFold(v, "close")
		ok = f.head.Closes || strings.EqualFold(v, "keep-alive")
	case "Content-Length":
		n, err := strconv.ParseUint(v, 10, 62)
		ok = !f.length && err == nil && v[0] != '+'
		f.length, f.head.Length = true, int64(n)
	default:
		return true
	}
	return ok
}
