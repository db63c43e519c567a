// Package wireclient sends requests to PowerJob servers: one request, on a connection
// of its own, and one answer. It keeps the exact case of header names, which net/http
// would canonicalise, and never sends a request again.
//
//	answer, err := wireclient.Server{Host: "127.0.0.1:7700", Dial: dial}.Ask(ctx, wireclient.Login("app1", "pw"))
//
// The commands doctor and duplicates use it. It follows no redirect and knows nothing
// of tokens: its callers add the fields that they need.
package wireclient

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"
)

// ErrClosed says that the connection was closed before the first byte of an
// answer.
var ErrClosed = errors.New("closed without an answer")

// Server is a server that requests are sent to.
type Server struct {
	Host  string // the Host header
	Limit int64  // the largest body of an answer, in bytes; 0: DefaultLimit

	// Dial connects to the server, its TLS included.
	Dial func(ctx context.Context) (net.Conn, error)
}

// Ask sends one request and reads its answer. If ctx ends first, the error wraps both
// the connection's error and ctx's.
func (s Server) Ask(ctx context.Context, r Request) (Response, error) {
	conn, err := s.Dial(ctx)
	if err != nil {
		return Response{}, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	answer, err := s.exchange(conn, r)
	if err != nil && ctx.Err() != nil {
		err = &endedError{err, ctx.Err()}
	}
	return answer, err
}

func (s Server) exchange(conn net.Conn, r Request) (Response, error) {
	if _, err := conn.Write(s.encode(r)); err != nil {
		return Response{}, err
	}
	in := bufio.NewReader(conn)
	if _, err := in.Peek(1); errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		return Response{}, ErrClosed
	}
	return ReadResponse(in, s.Limit)
}

func (s Server) encode(r Request) []byte {
	var b bytes.Buffer
	method := cmp.Or(r.Method, "POST")
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, r.Path, s.Host)
	for _, f := range r.Header {
		fmt.Fprintf(&b, "%s: %s\r\n", f.Name, f.Value)
	}
	b.WriteString("Connection: close\r\n")
	if method == "POST" {
		fmt.Fprintf(&b, "Content-Type: %s\r\nContent-Length: %d\r\n\r\n%s", r.ContentType, len(r.Body), r.Body)
	} else {
		b.WriteString("\r\n")
	}
	return b.Bytes()
}

// endedError is a connection's error after the context had ended, and the context's.
type endedError struct{ conn, ctx error }

func (e *endedError) Error() string   { return e.conn.Error() }
func (e *endedError) Unwrap() []error { return []error{e.conn, e.ctx} }
