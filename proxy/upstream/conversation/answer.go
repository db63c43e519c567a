package conversation

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"powerjob-shim/proxy/head"
)

// readAnswer reads an answer's head as http.ReadResponse does. A plain one, which is
// here with its body already, costs less: most answers to calls are plain.
func readAnswer(from *bufio.Reader, r *http.Request) (*http.Response, error) {
	if _, err := from.Peek(1); err != nil {
		return nil, err
	}
	here, _ := from.Peek(from.Buffered()) // it is there
	if res, size := plainAnswer(here, r); res != nil {
		_, _ = from.Discard(size) // likewise
		return res, nil
	}
	return http.ReadResponse(from, r)
}

var (
	crlf    = []byte("\r\n")
	headEnd = []byte("\r\n\r\n")
)

// plainAnswer reads the answer that stands at the beginning of here, and returns how
// long it is in all; nil unless it is plain: HTTP/1.1, a final status with a body, all
// of which is here, with one length or in chunks without extensions and trailers, and
// no field that only some would accept.
func plainAnswer(here []byte, r *http.Request) (res *http.Response, size int) {
	end := bytes.Index(here, headEnd)
	if end < 0 || r.Method != http.MethodPost {
		return nil, 0
	}
	line, text, found := strings.Cut(string(here[:end+len(crlf)]), "\r\n")
	status, version := strings.CutPrefix(line, "HTTP/1.1 ")
	if !found || !version || len(status) < 3 || len(status) > 3 && status[3] != ' ' || !httpguts.ValidHeaderFieldValue(status) {
		return nil, 0
	}
	code, err := strconv.ParseUint(status[:3], 10, 16)
	if err != nil || code < 200 || code == http.StatusNoContent || code == http.StatusNotModified {
		return nil, 0
	}
	h := plainFields(text)
	if h == nil {
		return nil, 0
	}
	res = &http.Response{
		Status: status, StatusCode: int(code), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: h, Request: r, ContentLength: -1,
	}
	body, length := here[end+len(headEnd):], 0
	switch announced := h["Content-Length"]; {
	case h["Transfer-Encoding"] != nil:
		if len(announced) > 0 || len(h["Transfer-Encoding"]) != 1 || h["Transfer-Encoding"][0] != "chunked" {
			return nil, 0
		}
		if body, length = wholeChunks(body); length == 0 {
			return nil, 0
		}
		delete(h, "Transfer-Encoding")
		res.TransferEncoding = []string{"chunked"}
	case len(announced) == 1:
		n, err := strconv.ParseUint(announced[0], 10, 31)
		if err != nil || int(n) > len(body) {
			return nil, 0
		}
		length = int(n)
		res.ContentLength, body = int64(n), bytes.Clone(body[:length])
	default:
		return nil, 0
	}
	if res.Body = http.NoBody; len(body) > 0 || res.ContentLength < 0 {
		res.Body = &bodyHere{left: body}
	}
	return res, end + len(headEnd) + length
}

// plainFields reads the fields of a head; nil: they are not plain.
func plainFields(text string) http.Header {
	lines := strings.Count(text, "\n")
	h, values := make(http.Header, lines), make([]string, lines)
	for text != "" {
		var line string
		line, text, _ = strings.Cut(text, "\r\n")
		name, value, ok := strings.Cut(line, ":")
		if value = strings.Trim(value, " \t"); !ok || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return nil
		}
		switch name = head.Canonical(name); name {
		case "Trailer", "Upgrade", "Pragma":
			return nil
		case "Connection":
			if value != "keep-alive" {
				return nil
			}
		}
		if earlier, ok := h[name]; ok {
			h[name] = append(earlier, value)
			continue
		}
		values[0] = value
		h[name], values = values[:1:1], values[1:]
	}
	return h
}

// wholeChunks returns what is in a body in chunks, and its size with them; 0: it is
// not whole, or has more than chunks.
func wholeChunks(here []byte) (body []byte, size int) {
	for rest := here; ; {
		line, after, found := bytes.Cut(rest, crlf)
		n, err := strconv.ParseUint(string(line), 16, 31)
		if !found || err != nil || len(after) < int(n)+len(crlf) || !bytes.HasPrefix(after[n:], crlf) {
			return nil, 0
		}
		rest = after[int(n)+len(crlf):]
		if n == 0 {
			return body, len(here) - len(rest)
		}
		body = append(body, after[:n]...)
	}
}

// bodyHere is a body in memory. Its last bytes come with io.EOF, as with net/http.
type bodyHere struct{ left []byte }

// Read implements io.Reader.
func (b *bodyHere) Read(p []byte) (int, error) {
	n := copy(p, b.left)
	if b.left = b.left[n:]; len(b.left) > 0 {
		return n, nil
	}
	return n, io.EOF
}

// Close implements io.Closer.
func (*bodyHere) Close() error { return nil }
