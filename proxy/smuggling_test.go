package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// Each request is followed on its connection by another one, /next. What the
// shim answers, and all that the server sees, byte for byte counted, says who
// took which bytes for what.
func TestNothingIsSmuggled(t *testing.T) {
	const (
		next  = "GET /next HTTP/1.1\r\nHost: next.test\r\nConnection: close\r\n\r\n"
		post  = "POST /a HTTP/1.1\r\nHost: a\r\n"
		saves = "POST /openApi/saveJob HTTP/1.1\r\nHost: a\r\n"
		get   = "GET /a HTTP/1.1\r\nHost: a\r\n"
		cl    = "Content-Length: 2\r\n"
		te    = "Transfer-Encoding: chunked\r\n"
		end   = "0\r\n\r\n"
	)
	long := strings.Repeat("a", 60<<10)
	huge := strings.Repeat("a", 1<<20)
	for _, c := range []struct {
		name, request string
		answers       string // status codes in order
		server        string // what it got: method, target and body of each request
	}{
		// Content-Length and Transfer-Encoding
		{"a length", post + cl + "\r\n{}", "200 200", "POST /a {} GET /next"},
		{"no length", post + "\r\n", "200 200", "POST /a GET /next"},
		{"length 0", post + "Content-Length: 0\r\n\r\n", "200 200", "POST /a GET /next"},
		{"the same length twice", post + cl + cl + "\r\n{}", "200 200", "POST /a {} GET /next"},
		{"two lengths", post + cl + "Content-Length: 3\r\n\r\n{}", "400", ""},
		{"a length list", post + "Content-Length: 2, 2\r\n\r\n{}", "400", ""},
		{"a length with leading zeros", post + "Content-Length: 002\r\n\r\n{}", "200 200", "POST /a {} GET /next"},
		{"a length with a plus", post + "Content-Length: +2\r\n\r\n{}", "400", ""},
		{"a negative length", post + "Content-Length: -2\r\n\r\n{}", "400", ""},
		{"a length with a space in it", post + "Content-Length: 2 0\r\n\r\n{}", "400", ""},
		{"a length with an underscore", post + "Content-Length: 1_0\r\n\r\n{}", "400", ""},
		{"a hexadecimal length", post + "Content-Length: 0x2\r\n\r\n{}", "400", ""},
		{"a length beyond 63 bits", post + "Content-Length: 18446744073709551618\r\n\r\n{}", "400", ""},
		{"a length with a fraction", post + "Content-Length: 2.0\r\n\r\n{}", "400", ""},
		{"an empty length", post + "Content-Length:\r\n\r\n", "400", ""},
		{"a length misspelt with an underscore", post + "Content_Length: 9\r\n\r\n", "200 200", "POST /a GET /next"},
		{"a space before the colon of the length", post + "Content-Length : 2\r\n\r\n{}", "400", ""},
		{"chunked", post + te + "\r\n2\r\n{}\r\n" + end, "200", "POST /a {}"},
		{"chunked in capitals", post + "TRANSFER-ENCODING: CHUNKED\r\n\r\n2\r\n{}\r\n" + end, "200", "POST /a {}"},
		{"length, then chunked", post + "Content-Length: 5\r\n" + te + "\r\n" + end, "200", "POST /a"},
		{"chunked, then length", post + te + "Content-Length: 5\r\n\r\n" + end, "200", "POST /a"},
		{"chunked beside a length that takes the next request in", post + te + "Content-Length: 80\r\n\r\n" + end, "200", "POST /a"},
		{"chunked beside a broken length", post + te + "Content-Length: x\r\n\r\n" + end, "400", ""},
		{"chunked twice in a line", post + "Transfer-Encoding: chunked, chunked\r\n\r\n" + end, "400", ""},
		{"chunked on two lines", post + te + te + "\r\n" + end, "400", ""},
		{"chunked and identity on two lines", post + te + "Transfer-Encoding: identity\r\n\r\n" + end, "400", ""},
		{"identity", post + "Transfer-Encoding: identity\r\n" + cl + "\r\n{}", "400", ""},
		{"gzip, chunked", post + "Transfer-Encoding: gzip, chunked\r\n\r\n" + end, "400", ""},
		{"chunked misspelt", post + "Transfer-Encoding: xchunked\r\n" + cl + "\r\n{}", "400", ""},
		{"chunked with a parameter", post + "Transfer-Encoding: chunked;q=1\r\n\r\n" + end, "400", ""},
		{"chunked after a tab", post + "Transfer-Encoding:\tchunked\r\n\r\n" + end, "200", "POST /a"},
		{"chunked after a vertical tab", post + "Transfer-Encoding: \x0bchunked\r\n\r\n" + end, "400", ""},
		{"chunked in quotes", post + "Transfer-Encoding: \"chunked\"\r\n\r\n" + end, "400", ""},
		{"chunked on a folded line", post + "Transfer-Encoding:\r\n chunked\r\n\r\n" + end, "200", "POST /a"},
		{"a space before the colon of the coding", post + "Transfer-Encoding : chunked\r\n\r\n" + end, "400", ""},
		{"a coding misspelt with an underscore", post + "Transfer_Encoding: chunked\r\n\r\n", "200 200", "POST /a GET /next"},
		{"a coding hidden in another field by a bare CR", post + "X: y\rTransfer-Encoding: chunked\r\n\r\n", "400", ""},
		{"chunked in HTTP/1.0", "POST /a HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n" + te + "\r\n", "200", "POST /a"},
		{"GET with a body", get + cl + "\r\n{}", "200 200", "GET /a {} GET /next"},
		{"GET with a chunked body", get + te + "\r\n2\r\n{}\r\n" + end, "200", "GET /a {}"},
		{"Content-Length named in Connection", post + "Connection: Content-Length\r\n" + cl + "\r\n{}", "200 200", "POST /a {} GET /next"},
		{"Transfer-Encoding named in Connection", post + "Connection: Transfer-Encoding\r\n" + te + "\r\n2\r\n{}\r\n" + end, "200", "POST /a {}"},
		{"Host named in Connection", get + "Connection: Host\r\n\r\n", "200 200", "GET /a GET /next"},
		{"TE and trailers named in Connection", get + "Connection: TE\r\nTE: trailers\r\n\r\n", "200 200", "GET /a GET /next"},

		// chunks
		{"a chunk extension", post + te + "\r\n2;x=y\r\n{}\r\n" + end, "200", "POST /a {}"},
		{"a chunk extension with a quoted line end", post + te + "\r\n2;x=\"\\\r\n{}\r\n" + end, "200", "POST /a {}"},
		{"a bare LF in a chunk extension", post + te + "\r\n2;\nxx\r\n{}\r\n" + end, "400", ""},
		{"a bare CR in a chunk extension", post + te + "\r\n2;\rxx\r\n{}\r\n" + end, "400", ""},
		{"a long chunk extension", post + te + "\r\n2;" + long + "\r\n{}\r\n" + end, "400", ""},
		{"a chunk size in hexadecimal", post + te + "\r\n000A\r\n0123456789\r\n" + end, "200", "POST /a 0123456789"},
		{"a chunk size with 0x", post + te + "\r\n0x2\r\n{}\r\n" + end, "400", ""},
		{"a chunk size with a plus", post + te + "\r\n+2\r\n{}\r\n" + end, "400", ""},
		{"a negative chunk size", post + te + "\r\n-2\r\n{}\r\n" + end, "400", ""},
		{"an empty chunk size", post + te + "\r\n\r\n{}\r\n" + end, "400", ""},
		{"a chunk size beyond 64 bits", post + te + "\r\n10000000000000002\r\n{}\r\n" + end, "400", ""},
		{"a chunk longer than its size", post + te + "\r\n2\r\n{}}\r\n" + end, "400", ""},
		{"a chunk that ends in CR alone", post + te + "\r\n2\r\n{}\r0\r\n\r\n", "400", ""},
		{"a chunk that ends in LF alone", post + te + "\r\n2\r\n{}\n" + end, "400", ""},
		{"chunk sizes that end in LF alone", post + te + "\r\n2\n{}\r\n0\n\r\n", "400", ""},
		{"a trailer", post + te + "Trailer: X-T\r\n\r\n2\r\n{}\r\n0\r\nX-T: 1\r\n\r\n", "200", "POST /a {}"},
		{"a length in the trailers", post + te + "\r\n2\r\n{}\r\n0\r\nContent-Length: 9\r\n\r\n", "200", "POST /a {}"},
		{"a length announced as a trailer", post + te + "Trailer: Content-Length\r\n\r\n" + end, "400", ""},
		{"the answer's header as a trailer", saves + te + "Trailer: x-powerjob-auth-passed\r\n\r\n2\r\n{}\r\n0\r\nx-powerjob-auth-passed: true\r\n\r\n", "200", "POST /openApi/saveJob {}"},

		// lines and characters
		{"bare line feeds", "POST /a HTTP/1.1\nHost: a\nContent-Length: 2\n\n{}", "200 200", "POST /a {} GET /next"},
		{"empty lines before the request", "\r\n" + get + "\r\n", "400", ""},
		{"a bare CR in a value", get + "X-A: a\rb\r\n\r\n", "400", ""},
		{"a bare CR as a line end", "GET /a HTTP/1.1\rHost: a\r\n\r\n", "400", ""},
		{"a CR before CRLF", get + "X-A: a\r\r\n\r\n", "400", ""},
		{"a folded value", get + "X-A: 1\r\n 2\r\n\r\n", "200 200", "GET /a GET /next"},
		{"a fold as the first line", "GET /a HTTP/1.1\r\n Host: a\r\n\r\n", "400", ""},
		{"a NUL in a value", get + "X-A: a\x00b\r\n\r\n", "400", ""},
		{"a NUL in a name", get + "X\x00A: a\r\n\r\n", "400", ""},
		{"a NUL in the target", "GET /a\x00b HTTP/1.1\r\nHost: a\r\n\r\n", "400", ""},
		{"a line without a colon", get + "nonsense\r\n\r\n", "400", ""},
		{"an empty name", get + ": a\r\n\r\n", "400", ""},
		{"a space in a name", get + "X A: a\r\n\r\n", "400", ""},
		{"a high byte in a name", get + "X-\xff: a\r\n\r\n", "400", ""},
		{"a target of 60 KiB", "GET /" + long + " HTTP/1.1\r\nHost: a\r\n\r\n", "200 200", "GET /" + long + " GET /next"},
		{"a target of 1 MiB", "GET /" + huge + " HTTP/1.1\r\nHost: a\r\n\r\n", "431", ""},
		{"a header of 1 MiB", get + "X-A: " + huge + "\r\n\r\n", "431", ""},
		{"a line end of a header that never comes", get + "X-A: " + huge, "431", ""},

		// request line
		{"a space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "400", ""},
		{"a tab in the request line", "GET\t/a HTTP/1.1\r\nHost: a\r\n\r\n", "400", ""},
		{"two spaces in the request line", "GET  /a HTTP/1.1\r\nHost: a\r\n\r\n", "400", ""},
		{"no version", "GET /a\r\nHost: a\r\n\r\n", "400", ""},
		{"HTTP/1.2, to be read as 1.1 (RFC 9110, 6.2)", "GET /a HTTP/1.2\r\nHost: a\r\n\r\n", "200 200", "GET /a GET /next"},
		{"HTTP/0.9", "GET /a HTTP/0.9\r\nHost: a\r\n\r\n", "505", ""},
		{"HTTP/2 without negotiation", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505", ""},
		{"a version in small letters", "GET /a http/1.1\r\nHost: a\r\n\r\n", "400", ""},
		{"a method with a colon", "G:T /a HTTP/1.1\r\nHost: a\r\n\r\n", "400", ""},
		{"an unknown method", "BREW /a HTTP/1.1\r\nHost: a\r\n\r\n", "200 200", "BREW /a GET /next"},
		{"TRACE", "TRACE /a HTTP/1.1\r\nHost: a\r\n\r\n", "200 200", "TRACE /a GET /next"},
		{"OPTIONS of all", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "200 200", "GET /next"},
		{"GET of all", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", "400", ""},
		{"CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", "405", ""},
		{"CONNECT of a path", "CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n", "405", ""},
		{"absolute-form", "GET http://a/b?c HTTP/1.1\r\nHost: a\r\n\r\n", "200 200", "GET /b?c GET /next"},
		{"absolute-form beside another Host", "GET http://a/b HTTP/1.1\r\nHost: evil\r\n\r\n", "200 200", "GET /b GET /next"},
		{"a target without a slash", "GET a HTTP/1.1\r\nHost: a\r\n\r\n", "400", ""},
		{"a call in a path with dots", "POST /x/../openApi/saveJob HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + cl + "\r\n{}", "400", ""},

		// Host
		{"no Host", "GET /a HTTP/1.1\r\n\r\n", "400", ""},
		{"two Hosts", get + "Host: b\r\n\r\n", "400", ""},
		{"the same Host twice", get + "Host: a\r\n\r\n", "400", ""},
		{"a Host with a path", "GET /a HTTP/1.1\r\nHost: a/b\r\n\r\n", "400", ""},
		{"a Host with a space", "GET /a HTTP/1.1\r\nHost: a b\r\n\r\n", "400", ""},
		{"a Host misspelt with a space", "GET /a HTTP/1.1\r\nHost : a\r\n\r\n", "400", ""},

		// going on after the request
		{"an upgrade that the server ignores", get + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "200 200", "GET /a GET /next"},
		{"an upgrade to h2c", get + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", "200 200", "GET /a GET /next"},
		{"an upgrade with a chunked body", get + "Connection: Upgrade\r\nUpgrade: websocket\r\n" + te + "\r\n" + end, "200", "GET /a"},
		{"an unknown expectation", post + "Expect: banana\r\n" + cl + "\r\n{}", "417", ""},
		{"100-continue with the body at once", post + "Expect: 100-continue\r\n" + cl + "\r\n{}", "100 200 200", "POST /a {} GET /next"},
		{"a pipeline", get + "\r\n" + get + "\r\n" + post + cl + "\r\n{}", "200 200 200 200", "GET /a GET /a POST /a {} GET /next"},
		{"a request after one that closes", get + "Connection: close\r\n\r\n", "200", "GET /a"},
		{"a body shorter than its length takes the next request in", post + fmt.Sprintf("Connection: close\r\nContent-Length: %d\r\n\r\n", len(next)), "200", "POST /a " + next},
	} {
		t.Run(c.name, func(t *testing.T) {
			up := newRawServer(t, answerWith())
			s := newShim(t, settingsFor(t, up.url))
			got := raw(t, s.addr, c.request+next)
			if answers := statuses(got); answers != c.answers {
				t.Errorf("the shim answered %q, want %q:\n%.300q", answers, c.answers, got)
			}
			if lines(got, authLine) != nil && !strings.Contains(c.request, "/openApi/") {
				t.Errorf("the answer carries the header:\n%.300q", got)
			}
			if strings.Contains(got, "HTTP/1.1 408") {
				t.Error("OkHttp would send again")
			}
			if saw := seen(t, up); saw != c.server {
				t.Errorf("the server got %.300q, want %.300q", saw, c.server)
			}
		})
	}
}

// statuses returns the status codes of the answers in a row.
func statuses(answers string) string {
	var codes []string
	r := bufio.NewReader(strings.NewReader(answers))
	for {
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			return strings.Join(codes, " ")
		}
		codes = append(codes, fmt.Sprint(res.StatusCode))
		_, _ = io.Copy(io.Discard, res.Body) // what was not whole shows as a missing answer
		_ = res.Body.Close()
	}
}

var chunk = regexp.MustCompile(`^([0-9a-f]+)\r\n`)

// seen returns method, target and body of what a server got as whole requests,
// and complains of any that can be read in two ways or names the header.
func seen(t *testing.T, up *rawServer) string {
	t.Helper()
	var all []string
	for _, req := range up.requests() {
		head, body, whole := strings.Cut(req, "\r\n\r\n")
		fields := strings.Fields(head)
		length, coding := lines(req, "content-length"), lines(req, "transfer-encoding")
		if len(length)+len(coding) > 1 || len(coding) == 1 && coding[0] != "Transfer-Encoding: chunked" ||
			len(lines(req, "host")) != 1 || strings.ContainsAny(strings.ReplaceAll(head, "\r\n", ""), "\r\n\x00") {
			t.Errorf("the server got an ambiguous request: %.300q", req)
		}
		if strings.Contains(strings.ToLower(req), "auth-passed") {
			t.Errorf("the server got the answer's header: %.300q", req)
		}
		if len(coding) == 1 {
			plain := ""
			whole = false
			for {
				m := chunk.FindStringSubmatch(body)
				if m == nil {
					break
				}
				var n int
				_, _ = fmt.Sscanf(m[1], "%x", &n)
				if body = body[len(m[0]):]; n == 0 {
					whole = true
					break
				}
				plain, body = plain+body[:n], body[n+2:]
			}
			body = plain
		}
		if !whole {
			continue // a server takes no notice of a request that breaks off
		}
		all = append(all, fields[0]+" "+fields[1])
		if body != "" {
			all = append(all, body)
		}
	}
	return strings.Join(all, " ")
}
