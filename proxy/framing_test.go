package proxy

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"

	"powerjob-shim/proxy/exchange"
)

func TestAmbiguousFramingIsRefusedAndTheUpstreamSeesNothing(t *testing.T) {
	const head = "POST /openApi/saveJob HTTP/1.1\r\nHost: a\r\n"
	for _, c := range []struct {
		name    string
		request string
		want    string // the status codes that will do
	}{
		{"two different lengths", head + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x", "400"},
		{"two lengths in one line", head + "Content-Length: 2, 2\r\n\r\n{}", "400"},
		{"a signed length", head + "Content-Length: +2\r\n\r\n{}", "400"},
		{"a negative length", head + "Content-Length: -2\r\n\r\n{}", "400"},
		{"a hexadecimal length", head + "Content-Length: 0x2\r\n\r\n{}", "400"},
		{"an empty length", head + "Content-Length:\r\n\r\n{}", "400"},
		{"a huge length", head + "Content-Length: 99999999999999999999\r\n\r\n{}", "400"},
		{"a misspelt coding", head + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "400"},
		{"a coding list", head + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", "400"},
		{"another coding before", head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "400"},
		{"identity", head + "Transfer-Encoding: identity\r\n\r\n", "400"},
		{"an empty coding", head + "Transfer-Encoding:\r\n\r\n", "400"},
		{"a quoted coding", head + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", "400"},
		{"a coding after a vertical tab", head + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", "400"},
		{"two coding lines", head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
		{"a misspelt coding beside a length", head + "Content-Length: 2\r\nTransfer-Encoding: xchunked\r\n\r\n{}", "400"},
		{"a space before the colon", head + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "400"},
		{"NUL in a value", head + "X-A: a\x00b\r\n\r\n", "400"},
		{"NUL in a name", head + "X-\x00: a\r\n\r\n", "400"},
		{"NUL in the target", "GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"a line without a colon", head + "nonsense\r\n\r\n", "400"},
		{"a folded first line", "POST / HTTP/1.1\r\n Host: a\r\n\r\n", "400"},
		{"two hosts", "POST / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"},
		{"no host", "POST / HTTP/1.1\r\n\r\n", "400"},
		{"a header of 1 MiB", head + "X-A: " + strings.Repeat("a", 1<<20) + "\r\n\r\n", "431"},
		{"a thousand long headers", head + strings.Repeat("X-A: "+strings.Repeat("a", 1<<10)+"\r\n", 1<<10) + "\r\n", "431"},
		{"a target of 1 MiB", "GET /" + strings.Repeat("a", 1<<20) + " HTTP/1.1\r\nHost: a\r\n\r\n", "431 400 414"},
		{"HTTP/2 without negotiation", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505 400"},
		{"a target that is no path", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", "405"},
		{"a dot segment", "POST /openApi/./saveJob HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "400"},
		{"a double dot", "POST /x/../openApi/saveJob HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "400"},
		{"an encoded double dot", "POST /openApi/%2e%2e/openApi/saveJob HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "400"},
		{"an empty segment", "POST //openApi/saveJob HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "400"},
		{"an encoded slash", "POST /openApi%2FsaveJob HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "400"},
		{"a backslash", "POST /openApi\\saveJob HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "400"},
		{"a chunk size that is no number", head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", "400"},
	} {
		t.Run(c.name, func(t *testing.T) {
			seen := make(chan string, 10)
			s := newShim(t, settingsFor(t, upstream(t, func(_ http.ResponseWriter, r *http.Request) {
				if _, err := io.ReadAll(r.Body); err == nil { // a request counts only as a whole
					seen <- r.RequestURI
				}
			})))
			got := raw(t, s.addr, c.request)
			if !strings.Contains(c.want, got[min(9, len(got)):min(12, len(got))]) || len(got) < 12 {
				t.Errorf("the client got %q, want %s", got, c.want)
			}
			if found := lines(got, authLine); found != nil {
				t.Errorf("the refusal carries %q", found)
			}
			select {
			case target := <-seen:
				t.Errorf("the upstream got %s", target)
			default:
			}
		})
	}
}

func TestWhatMayBeAcceptedReachesTheUpstreamUnambiguously(t *testing.T) {
	for _, c := range []struct{ name, request, want string }{
		{"a length beside chunked", "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
			"Transfer-Encoding: chunked|2\r\n{}\r\n0\r\n\r\n"},
		{"the same length twice", "POST /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}", "Content-Length: 2|{}"},
		{"chunked in another case", "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked \r\n\r\n2\r\n{}\r\n0\r\n\r\n",
			"Transfer-Encoding: chunked|2\r\n{}\r\n0\r\n\r\n"},
		{"a chunk extension", "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\n{}\r\n0\r\n\r\n",
			"Transfer-Encoding: chunked|2\r\n{}\r\n0\r\n\r\n"},
		{"a folded line", "POST /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-A: 1\r\n  2\r\nContent-Length: 2\r\n\r\n{}", "Content-Length: 2|{}"},
		{"bare line feeds", "POST /a HTTP/1.1\nHost: a\nConnection: close\nContent-Length: 2\n\n{}", "Content-Length: 2|{}"},
		{"HTTP/1.0 with a transfer coding", "POST /a HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}", "Content-Length: 2|{}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			up := newRawServer(t, answerWith())
			s := newShim(t, settingsFor(t, up.url))
			if got := raw(t, s.addr, c.request); statusOf(got) != 200 {
				t.Fatalf("the client got %q", got)
			}
			reqs := up.requests()
			if len(reqs) != 1 {
				t.Fatalf("the upstream got %q", reqs)
			}
			framing, body, _ := strings.Cut(c.want, "|")
			head, got, _ := strings.Cut(reqs[0], "\r\n\r\n")
			found := append(lines(reqs[0], "content-length"), lines(reqs[0], "transfer-encoding")...)
			if len(found) != 1 || found[0] != framing || got != body {
				t.Errorf("the upstream got %q with the body %q, want %q", head, got, c.want)
			}
		})
	}
}

func TestWhatFollowsARequestOfDoubtfulLengthIsNotServed(t *testing.T) {
	const next = "GET /smuggled HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
	for _, c := range []struct{ name, request string }{
		{"a length beside chunked", "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"HTTP/1.0 with a transfer coding", "POST /a HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"},
	} {
		up := newRawServer(t, answerWith())
		s := newShim(t, settingsFor(t, up.url))
		got := raw(t, s.addr, c.request+next)
		if n := len(up.requests()); n != 1 {
			t.Errorf("%s: the upstream got %d requests, want 1", c.name, n)
		}
		if n := strings.Count(got, "200 OK\r\n"); n != 1 {
			t.Errorf("%s: the client got %d answers, want 1:\n%s", c.name, n, got)
		}
		if found := lines(got, "connection"); len(found) != 1 || found[0] != "Connection: close" {
			t.Errorf("%s: the client got %q, want Connection: close", c.name, found)
		}
	}
}

func TestOrdinaryRequestsShareAConnection(t *testing.T) {
	up := newRawServer(t, answerWith())
	s := newShim(t, settingsFor(t, up.url))
	got := raw(t, s.addr, "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"+request("GET", "/b", ""))
	if n := strings.Count(got, "HTTP/1.1 200"); n != 2 {
		t.Errorf("the client got %d answers, want 2:\n%s", n, got)
	}
}

func TestABodyThatBreaksOffIsNotForwardedAsAWholeOne(t *testing.T) {
	whole := make(chan bool, 10)
	s := newShim(t, settingsFor(t, upstream(t, func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		whole <- err == nil
	})))
	for i, body := range []string{
		"Content-Length: 10\r\n\r\n{}",
		"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
	} {
		c := dial(t, s.addr)
		_, _ = io.WriteString(c, "POST /openApi/saveJob HTTP/1.1\r\nHost: a\r\n"+body)
		_ = c.CloseWrite()
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusBadRequest {
			t.Errorf("the client got %d, want 400", answer.StatusCode)
		}
		if status := s.logLine(t, i)[exchange.FieldStatus]; status != int64(hungUpStatus) {
			t.Errorf("the log says %v, want %d", status, hungUpStatus)
		}
	}
	for {
		select {
		case w := <-whole:
			if w {
				t.Error("the upstream took the body for a whole one")
			}
		default:
			return
		}
	}
}
