package client

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"powerjob-shim/internal/wireclient"
)

// Field is a header field with its name in exact case.
type Field = wireclient.Field

// Request is one POST.
type Request = wireclient.Request

// Response is a whole answer.
type Response = wireclient.Response

// WriteRequest writes a request as OkHttp 3.14.9 does: the client's own
// fields, then those of its BridgeInterceptor.
func WriteRequest(w io.Writer, host string, r Request) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\n", r.Path)
	for _, f := range slices.Concat(r.Header, []Field{
		{Name: "Content-Type", Value: r.ContentType},
		{Name: "Content-Length", Value: strconv.Itoa(len(r.Body))},
		{Name: "Host", Value: host},
		{Name: "Connection", Value: "Keep-Alive"},
		{Name: "Accept-Encoding", Value: "gzip"},
		{Name: "User-Agent", Value: "okhttp/3.14.9"},
	}) {
		b.WriteString(f.Name + ": " + f.Value + "\r\n")
	}
	b.WriteString("\r\n")
	b.Write(r.Body)
	_, err := w.Write(b.Bytes())
	return err
}

// reusable reports whether the connection may carry another request after r.
func reusable(r Response) bool {
	return !strings.EqualFold(r.Last("Connection"), "close") &&
		(r.Status == 204 || r.Status == 304 || r.Last("Transfer-Encoding") != "" || r.Last("Content-Length") != "")
}
