package head

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
)

// StatusLine appends the first line of an answer's head.
func StatusLine(to *bytes.Buffer, status int) {
	to.WriteString("HTTP/1.1 ")
	to.Write(strconv.AppendInt(to.AvailableBuffer(), int64(status), 10))
	to.WriteByte(' ')
	if text := http.StatusText(status); text != "" {
		to.WriteString(text)
	} else {
		to.WriteString("status code ")
		to.Write(strconv.AppendInt(to.AvailableBuffer(), int64(status), 10))
	}
	to.Write(CRLF)
}

// Trailers returns what is written behind a body in chunks: the fields of h that were
// announced, by their canonical names, and those under http.TrailerPrefix. nil: there
// are none.
func Trailers(h http.Header, announced []string) http.Header {
	var t http.Header
	add := func(name string, values []string) {
		if t == nil {
			t = http.Header{}
		}
		t[name] = append(t[name], values...)
	}
	for name, values := range h {
		if trailer, ok := strings.CutPrefix(name, http.TrailerPrefix); ok {
			add(trailer, values)
		}
	}
	for _, name := range announced {
		if values, ok := h[name]; ok {
			add(name, values)
		}
	}
	return t
}
