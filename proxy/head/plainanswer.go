package head

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// ReadAnswer reads an answer's head as http.ReadResponse does. A plain one, which is
// here with its body already, costs less: most answers to calls are plain.
func ReadAnswer(from *bufio.Reader, r *http.Request) (*http.Response, error) {
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

// plainAnswer reads the answer at the beginning of here, and returns how long it is in
// all; nil unless it is plain: HTTP/1.1, a final status with a body, all of which is
// here, with one length or in chunks without extensions and trailers, and no field that
// only some would accept.
func plainAnswer(here []byte, r *http.Request) (res *http.Response, size int) {
	end := bytes.Index(here, End)
	if end < 0 || r.Method != http.MethodPost {
		return nil, 0
	}
	line, text, _ := strings.Cut(string(here[:end+len(CRLF)]), "\r\n")
	status, code := plainStatus(line)
	if code == 0 {
		return nil, 0
	}
	h := plainFields(text)
	if h == nil {
		return nil, 0
	}
	res = &http.Response{
		Status: status, StatusCode: code, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: h, Request: r, ContentLength: -1,
	}
	length, ok := plainBody(res, here[end+len(End):])
	if !ok {
		return nil, 0
	}
	return res, end + len(End) + length
}

// plainStatus reads a status line; 0: it is not plain.
func plainStatus(line string) (status string, code int) {
	status, found := strings.CutPrefix(line, "HTTP/1.1 ")
	if !found || len(status) < 3 || len(status) > 3 && status[3] != ' ' || !httpguts.ValidHeaderFieldValue(status) {
		return "", 0
	}
	n, err := strconv.ParseUint(status[:3], 10, 16)
	if err != nil || n < 200 || n == http.StatusNoContent || n == http.StatusNotModified {
		return "", 0
	}
	return status, int(n)
}

// plainBody gives an answer its body, which is at the beginning of here, and
// returns how long it is there, chunks' sizes included. ok is false where it is not plain, or not whole.
func plainBody(res *http.Response, here []byte) (length int, ok bool) {
	announced, coding := res.Header["Content-Length"], res.Header["Transfer-Encoding"]
	switch {
	case len(coding) == 1 && coding[0] == "chunked" && announced == nil:
		body, length := wholeChunks(here)
		delete(res.Header, "Transfer-Encoding")
		res.TransferEncoding, res.Body = coding, &bodyHere{body}
		return length, length > 0
	case coding != nil || len(announced) != 1:
		return 0, false
	}
	n, err := strconv.ParseUint(announced[0], 10, 31)
	if err != nil || int(n) > len(here) {
		return 0, false
	}
	if res.ContentLength, res.Body = int64(n), http.NoBody; n > 0 {
		res.Body = &bodyHere{bytes.Clone(here[:n])}
	}
	return int(n), true
}

// plainFields reads the fields of a head; nil: they are not plain.
func plainFields(text string) http.Header {
	kept := newKeeper(text)
	for text != "" {
		var line string
		line, text, _ = strings.Cut(text, "\r\n")
		name, value, ok := cutField(line)
		if !ok {
			return nil
		}
		switch name {
		case "Trailer", "Upgrade", "Pragma":
			return nil
		case "Connection":
			if value != "keep-alive" {
				return nil
			}
		}
		kept.keep(name, value)
	}
	return kept.header
}

// maxChunkDigits is how many digits net/http takes for a chunk's size, leading zeros
// included.
const maxChunkDigits = 16

// wholeChunks returns what is in a body in chunks, and its size with them; 0: it is
// not whole, or has more than chunks.
func wholeChunks(here []byte) (body []byte, size int) {
	for rest := here; ; {
		line, after, found := bytes.Cut(rest, CRLF)
		n, err := strconv.ParseUint(string(line), 16, 31)
		if !found || err != nil || len(line) > maxChunkDigits || len(after) < int(n)+len(CRLF) || !bytes.HasPrefix(after[n:], CRLF) {
			return nil, 0
		}
		rest = after[int(n)+len(CRLF):]
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
