package client

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
	maxBody   = 64 << 20
)

// bodyError wraps what fails after the answer's header was complete; OkHttp
// does not repeat then.
type bodyError struct{ err error }

func (e *bodyError) Error() string { return "reading the answer's body: " + e.err.Error() }
func (e *bodyError) Unwrap() error { return e.err }

// protocolError is OkHttp's ProtocolException: it is not repeated.
type protocolError struct{ line string }

func (e *protocolError) Error() string { return fmt.Sprintf("unexpected status line: %q", e.line) }

// WriteRequest writes a request as OkHttp 3.14.9 does: the client's own
// fields, then those of its BridgeInterceptor.
func WriteRequest(w io.Writer, host string, r Request) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\n", r.Path)
	for _, f := range append(r.Header[:len(r.Header):len(r.Header)],
		Field{"Content-Type", r.ContentType},
		Field{"Content-Length", strconv.Itoa(len(r.Body))},
		Field{"Host", host},
		Field{"Connection", "Keep-Alive"},
		Field{"Accept-Encoding", "gzip"},
		Field{"User-Agent", "okhttp/3.14.9"},
	) {
		b.WriteString(f.Name + ": " + f.Value + "\r\n")
	}
	b.WriteString("\r\n")
	b.Write(r.Body)
	_, err := w.Write(b.Bytes())
	return err
}

// ReadResponse reads one answer to a POST, with the names of its fields in
// exact case (net/http would canonicalise them). An interim 100 is skipped.
func ReadResponse(r *bufio.Reader) (Response, error) {
	a, err := readHeader(r)
	for err == nil && a.Status == 100 {
		a, err = readHeader(r)
	}
	if err != nil {
		return Response{}, err
	}
	if err := a.readBody(r); err != nil {
		return Response{}, &bodyError{err}
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
	code, _, _ := strings.Cut(rest, " ")
	status, err := strconv.ParseUint(code, 10, 16)
	if (proto != "HTTP/1.1" && proto != "HTTP/1.0") || len(code) != 3 || err != nil {
		return Response{}, &protocolError{line}
	}
	a.Proto, a.Status = proto, int(status)
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
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r"), err
	}
}

// last returns the last value of a field, whatever its name's case.
func (r Response) last(name string) string {
	value := ""
	for _, f := range r.Header {
		if strings.EqualFold(f.Name, name) {
			value = f.Value
		}
	}
	return value
}

// reusable tells whether the connection may carry another request.
func (r Response) reusable() bool {
	return !strings.EqualFold(r.last("Connection"), "close") &&
		(r.Status == 204 || r.Status == 304 || r.last("Transfer-Encoding") != "" || r.last("Content-Length") != "")
}

func (r *Response) readBody(from *bufio.Reader) error {
	if r.Status == 204 || r.Status == 304 {
		return nil
	}
	var err error
	switch length := r.last("Content-Length"); {
	case strings.EqualFold(r.last("Transfer-Encoding"), "chunked"):
		r.Body, err = readAll(httputil.NewChunkedReader(from))
		for line, budget := "-", maxHeader; err == nil && line != ""; { // the trailer
			line, err = readLine(from, &budget)
		}
	case length != "":
		n, e := strconv.ParseInt(length, 10, 64)
		if e != nil || n < 0 || n > maxBody {
			return fmt.Errorf("bad Content-Length %q", length)
		}
		r.Body = make([]byte, n)
		_, err = io.ReadFull(from, r.Body)
	default:
		r.Body, err = readAll(from)
	}
	if err == nil && strings.EqualFold(r.last("Content-Encoding"), "gzip") {
		var z *gzip.Reader
		if z, err = gzip.NewReader(bytes.NewReader(r.Body)); err == nil {
			r.Body, err = readAll(z)
		}
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func readAll(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxBody+1))
	if err == nil && len(b) > maxBody {
		err = errors.New("the answer is larger than 64 MiB")
	}
	return b, err
}
