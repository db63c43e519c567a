package wireclient

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http/httputil"
	"strconv"
	"strings"
)

const (
	maxHeader = 256 << 10 // OkHttp's limit, in bytes
	// DefaultLimit is the largest body of an answer, in bytes.
	DefaultLimit = 64 << 20
)

// Field is a header field with its name in exact case.
type Field struct{ Name, Value string }

// Request is a request to a server.
type Request struct {
	Method      string  // "": POST
	Path        string  // with its query: "/openApi/saveJob"
	ContentType string  // of the body
	Header      []Field // further fields
	Body        []byte  // sent with a POST only
}

// Response is a whole answer.
type Response struct {
	Status int
	Reason string  // the server's words for it, "Bad Gateway"
	Proto  string  // "HTTP/1.1"
	Header []Field // in the order and case in which they arrived
	Body   []byte  // without its Content-Encoding
}

// Get returns the value that the Java client finds under a name in exact case; "":
// none. The client copies the fields to a HashMap: of fields whose names differ only
// in case, it takes the first one's name and the last one's value.
func (r Response) Get(name string) string {
	first := ""
	for _, f := range r.Header {
		if strings.EqualFold(f.Name, name) {
			first = f.Name
			break
		}
	}
	if first != name {
		return ""
	}
	return r.Last(name)
}

// Last returns the last value of a field, whatever its name's case; "" for none.
func (r Response) Last(name string) string {
	value := ""
	for _, f := range r.Header {
		if strings.EqualFold(f.Name, name) {
			value = f.Value
		}
	}
	return value
}

// BodyError wraps an error that happened after the answer's header was complete.
type BodyError struct{ err error }

func (e *BodyError) Error() string { return "reading the answer's body: " + e.err.Error() }
func (e *BodyError) Unwrap() error { return e.err }

// TooLargeError is an answer whose body has more than Limit bytes.
type TooLargeError struct{ Limit int64 }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the answer is larger than %d MiB", e.Limit>>20)
}

// StatusLineError is an answer that does not begin with a status line of HTTP/1.x.
type StatusLineError struct{ line string }

func (e *StatusLineError) Error() string { return fmt.Sprintf("unexpected status line: %q", e.line) }

// ReadResponse reads one answer to a POST or GET, with a body of at most limit
// bytes; 0: DefaultLimit. An interim 100 is skipped.
func ReadResponse(r *bufio.Reader, limit int64) (Response, error) {
	if limit == 0 {
		limit = DefaultLimit
	}
	a, err := readHeader(r)
	for err == nil && a.Status == 100 {
		a, err = readHeader(r)
	}
	if err != nil {
		return Response{}, err
	}
	if err := a.readBody(r, limit); err != nil {
		return Response{}, &BodyError{err}
	}
	return a, nil
}

func readHeader(r *bufio.Reader) (Response, error) {
	budget := maxHeader
	line, err := readLine(r, &budget)
	if err != nil {
		return Response{}, err
	}
	var a Response
	proto, rest, _ := strings.Cut(line, " ")
	code, reason, _ := strings.Cut(rest, " ")
	status, err := strconv.ParseUint(code, 10, 16)
	if (proto != "HTTP/1.1" && proto != "HTTP/1.0") || len(code) != 3 || err != nil {
		return Response{}, &StatusLineError{line}
	}
	a.Proto, a.Status, a.Reason = proto, int(status), reason
	for {
		line, err := readLine(r, &budget)
		if err != nil || line == "" {
			return a, err
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			name, value = "", line
		}
		a.Header = append(a.Header, Field{name, strings.TrimSpace(value)})
	}
}

func readLine(r *bufio.Reader, budget *int) (string, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		*budget -= len(part)
		if *budget < 0 {
			return "", errors.New("the answer's header is larger than 256 KiB")
		}
		line = append(line, part...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		return strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r"), broken(err)
	}
}

// broken returns err, or io.ErrUnexpectedEOF for the stream's end.
func broken(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (r *Response) readBody(from *bufio.Reader, limit int64) error {
	if r.Status == 204 || r.Status == 304 {
		return nil
	}
	var err error
	switch length := r.Last("Content-Length"); {
	case strings.EqualFold(r.Last("Transfer-Encoding"), "chunked"):
		r.Body, err = readAll(httputil.NewChunkedReader(from), limit)
		for line, budget := "-", maxHeader; err == nil && line != ""; { // the trailer
			line, err = readLine(from, &budget)
		}
	case length != "":
		r.Body, err = readLength(from, length, limit)
	default:
		r.Body, err = readAll(from, limit)
	}
	if err == nil && strings.EqualFold(r.Last("Content-Encoding"), "gzip") {
		var z *gzip.Reader
		if z, err = gzip.NewReader(bytes.NewReader(r.Body)); err == nil {
			r.Body, err = readAll(z, limit)
		}
	}
	return broken(err)
}

func readLength(from io.Reader, length string, limit int64) ([]byte, error) {
	n, err := strconv.ParseInt(length, 10, 64)
	switch {
	case err != nil || n < 0:
		return nil, fmt.Errorf("bad Content-Length %q", length)
	case n > limit:
		return nil, &TooLargeError{limit}
	}
	b, err := readAll(io.LimitReader(from, n), limit)
	if err == nil && int64(len(b)) < n {
		err = io.ErrUnexpectedEOF
	}
	return b, err
}

func readAll(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = &TooLargeError{limit}
	}
	return b, err
}
