package wireclient

import (
	"bufio"
	"fmt"
	"strings"
	"testing"
)

func TestAHeaderIsFoundAsInTheJavaMap(t *testing.T) {
	exact, lower := "X-POWERJOB-AUTH-PASSED", "x-powerjob-auth-passed"
	for _, c := range []struct {
		fields []Field
		want   string
	}{
		{nil, ""},
		{[]Field{{exact, "true"}}, "true"},
		{[]Field{{lower, "true"}}, ""},
		{[]Field{{exact, "false"}, {exact, "true"}}, "true"},
		{[]Field{{exact, "true"}, {lower, "false"}}, "false"},
		{[]Field{{lower, "true"}, {exact, "true"}}, ""},
	} {
		if got := (Response{Header: c.fields}).Get(exact); got != c.want {
			t.Errorf("%v: %q, want %q", c.fields, got, c.want)
		}
	}
}

func TestAnAnswerIsReadWithItsNamesInExactCase(t *testing.T) {
	for name, c := range map[string]struct{ raw, want string }{
		"length":             {"HTTP/1.1 200 OK\r\nX-UPPER: a\r\nx-lower:b\r\nContent-Length: 2\r\n\r\nok", "200 ok X-UPPER=a x-lower=b Content-Length=2"},
		"chunked":            {"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\nTrailer: x\r\n\r\n", "200 ok transfer-encoding=Chunked"},
		"until the end":      {"HTTP/1.0 404 \r\n\r\nok", "404 ok"},
		"continue":           {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "200  Content-Length=0"},
		"no content":         {"HTTP/1.1 204 No Content\r\n\r\n", "204 "},
		"bare line feeds":    {"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", "200 ok Content-Length=2"},
		"cut in the status":  {"HTTP/1.1 2", "unexpected EOF"},
		"cut in the header":  {"HTTP/1.1 200 OK\r\nContent-", "unexpected EOF"},
		"cut in the body":    {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", "reading the answer's body: unexpected EOF"},
		"cut in a chunk":     {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok", "reading the answer's body: unexpected EOF"},
		"cut in the trailer": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "reading the answer's body: unexpected EOF"},
		"garbage":            {"SSH-2.0-OpenSSH\r\n", `unexpected status line: "SSH-2.0-OpenSSH"`},
		"negative length":    {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", `reading the answer's body: bad Content-Length "-1"`},
		"endless header":     {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", maxHeader), "the answer's header is larger than 256 KiB"},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := ReadResponse(bufio.NewReader(strings.NewReader(c.raw)), 0)
			got := fmt.Sprintf("%d %s", a.Status, a.Body)
			for _, f := range a.Header {
				got += " " + f.Name + "=" + f.Value
			}
			if err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
