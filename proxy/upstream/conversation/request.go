package conversation

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"powerjob-shim/proxy/head"
)

// write writes the bytes that net/http's Request.Write would write, with less work for
// the requests that are common here.
func write(r *http.Request, to *bytes.Buffer) (err error) {
	if r.GetBody != nil && r.Body != nil && r.Body != http.NoBody {
		if r.Body, err = r.GetBody(); err != nil {
			return err
		}
	}
	if !isCommon(r) {
		return r.Write(to)
	}
	writeHead(r, to)
	if r.ContentLength == 0 {
		return nil
	}
	n, err := to.ReadFrom(r.Body)
	if err == nil && n != r.ContentLength {
		err = fmt.Errorf("the body has %d bytes, not %d", n, r.ContentLength)
	}
	return err
}

// isCommon reports whether writeHead can write a request: a POST with a target that is
// written unchanged, a plain host, and a body of known length.
func isCommon(r *http.Request) bool {
	if r.Method != http.MethodPost || len(r.TransferEncoding) > 0 || r.Close || r.Trailer != nil || r.Header == nil {
		return false
	}
	if (r.ContentLength > 0) != (r.Body != nil && r.Body != http.NoBody) || r.ContentLength < 0 {
		return false
	}
	return plainTarget(r.URL.Opaque) && plainHost(r.Host) && *r.URL == (url.URL{Scheme: r.URL.Scheme, Host: r.URL.Host, Opaque: r.URL.Opaque})
}

// plainTarget reports whether a target is in origin-form and has no byte that net/http
// refuses.
func plainTarget(s string) bool {
	if s == "" || s[0] != '/' || strings.HasPrefix(s, "//") {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// plainHost reports whether a host is a lowercase name or an IPv4 address, with or
// without a port.
func plainHost(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != ':' {
			return false
		}
	}
	return s != ""
}

func writeHead(r *http.Request, to *bytes.Buffer) {
	to.WriteString("POST ")
	to.WriteString(r.URL.Opaque)
	to.WriteString(" HTTP/1.1\r\nHost: ")
	to.WriteString(r.Host)
	to.WriteString("\r\n")
	agent, named := r.Header["User-Agent"]
	switch {
	case !named:
		agent = []string{"Go-http-client/1.1"} // as net/http does
		fallthrough
	case len(agent) > 0 && agent[0] != "":
		head.Field(to, "User-Agent", agent[0])
	}
	to.WriteString("Content-Length: ")
	to.Write(strconv.AppendInt(to.AvailableBuffer(), r.ContentLength, 10))
	to.WriteString("\r\n")
	head.Write(to, r.Header, writtenApart)
	to.WriteString("\r\n")
}

// writtenApart reports whether a field of a request's header is not written from there.
func writtenApart(name string) bool {
	switch name {
	case "Host", "User-Agent", "Content-Length", "Transfer-Encoding", "Trailer":
		return true
	}
	return false
}
