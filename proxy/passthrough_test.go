package proxy

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"powerjob-shim/proxy/exchange"
	"powerjob-shim/proxy/upstream/conversation"
)

func TestAWebSocketPasses(t *testing.T) {
	headers := make(chan http.Header, 1)
	s := newShim(t, settingsFor(t, upstream(t, func(w http.ResponseWriter, r *http.Request) {
		headers <- r.Header
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\nhello ")
		_, _ = io.Copy(c, rw) // echo
	})))
	c := dial(t, s.addr)
	_, _ = io.WriteString(c, "GET /container/deploy/1 HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n")
	r := bufio.NewReader(c)
	head, err := readRaw(r)
	if err != nil || statusOf(head) != 101 {
		t.Fatalf("the client got %q, %v", head, err)
	}
	if got := lines(head, "upgrade"); !slices.Equal(got, []string{"Upgrade: websocket"}) {
		t.Errorf("the client got %q", got)
	}
	if h := <-headers; h.Get("Sec-WebSocket-Key") != "k" || h.Get("Upgrade") != "websocket" {
		t.Errorf("the upstream got %v", h)
	}
	for _, want := range []string{"hello ", "one", "two"} {
		if want != "hello " {
			_, _ = io.WriteString(c, want)
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
			t.Fatalf("the client got %q, %v, want %q", got, err, want)
		}
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReadByte(); err != io.EOF {
		t.Errorf("after the end came %v, want EOF", err)
	}
	if status := s.logLine(t, 0)[exchange.FieldStatus]; status != int64(101) {
		t.Errorf("the log says %v, want 101", status)
	}
}

// A tunnel has no end that the shim could close the connection at.
func TestAnUpgradeIsIgnoredWhereTheConnectionMustEnd(t *testing.T) {
	for _, start := range []string{
		"GET /ws HTTP/1.0\r\nConnection: keep-alive, Upgrade\r\n",
		"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nTransfer-Encoding: chunked\r\n",
	} {
		up := newRawServer(t, answerWith())
		s := newShim(t, settingsFor(t, up.url))
		got := raw(t, s.addr, start+"Upgrade: websocket\r\n\r\n0\r\n\r\n")
		if statusOf(got) != 200 {
			t.Errorf("the client got %q", got)
		}
		for _, req := range up.requests() {
			if found := append(lines(req, "upgrade"), lines(req, "connection")...); found != nil {
				t.Errorf("the upstream got %q", found)
			}
		}
	}
}

func TestAnEventStreamIsNotBuffered(t *testing.T) {
	for _, length := range []string{"", "12"} {
		next := make(chan struct{})
		s := newShim(t, settingsFor(t, upstream(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			if length != "" {
				w.Header().Set("Content-Length", length)
				w.Header().Set("Content-Type", "text/plain")
			}
			_ = http.NewResponseController(w).Flush()
			for range 2 {
				if _, more := <-next; !more {
					return
				}
				_, _ = io.WriteString(w, "data\n\n")
				_ = http.NewResponseController(w).Flush()
			}
		})))
		t.Cleanup(func() { close(next) })
		c := dial(t, s.addr)
		_ = c.SetDeadline(time.Now().Add(patience))
		_, _ = io.WriteString(c, request("GET", "/events", ""))
		res, err := http.ReadResponse(bufio.NewReader(c), nil) // before the first event
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // each before the next is made
			next <- struct{}{}
			got := make([]byte, 6)
			if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != "data\n\n" {
				t.Fatalf("the client got %q, %v", got, err)
			}
		}
		_ = res.Body.Close()
	}
}

func TestAnUploadIsNotBuffered(t *testing.T) {
	got := make(chan string)
	s := newShim(t, settingsFor(t, upstream(t, func(_ http.ResponseWriter, r *http.Request) {
		for {
			b := make([]byte, 3)
			if _, err := io.ReadFull(r.Body, b); err != nil {
				close(got)
				return
			}
			got <- string(b)
		}
	})))
	c := dial(t, s.addr)
	_, _ = io.WriteString(c, "POST /container/uploadJar HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n")
	for _, part := range []string{"one", "two"} {
		_, _ = io.WriteString(c, part)
		select {
		case b := <-got:
			if b != part {
				t.Errorf("the upstream got %q, want %q", b, part)
			}
		case <-time.After(patience):
			t.Fatalf("%q did not arrive before the next part was sent", part)
		}
	}
	<-got
}

func TestAnswersWithoutABodyPass(t *testing.T) {
	for _, c := range []struct{ method, answer, want string }{
		{"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nETag: \"x\"\r\n\r\n", "Content-Length: 1234|ETag: \"x\"|"},
		{"HEAD", "HTTP/1.1 404 Not Found\r\n\r\n", "|"},
		{"GET", "HTTP/1.1 204 No Content\r\n\r\n", "|"},
		{"GET", "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n", "ETag: \"x\"|"},
		{"POST", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "Content-Length: 0|"},
	} {
		up := newRawServer(t, c.answer)
		s := newShim(t, settingsFor(t, up.url))
		got := raw(t, s.addr, request(c.method, "/x", "", "If-None-Match: \"x\""))
		if statusOf(got) != statusOf(c.answer) {
			t.Errorf("%s: the client got %q, want %q", c.method, got, c.answer)
		}
		var found []string
		for _, name := range []string{"content-length", "transfer-encoding", "content-type", "etag"} {
			found = append(found, lines(got, name)...)
		}
		for i := range found {
			found[i] = strings.Replace(found[i], "Etag", "ETag", 1)
		}
		_, body, _ := strings.Cut(got, "\r\n\r\n")
		if all := strings.Join(append(found, body), "|"); all != strings.TrimPrefix(c.want, "|") {
			t.Errorf("%s %d: the client got %q, want %q", c.method, statusOf(got), all, c.want)
		}
		if reqs := up.requests(); len(reqs) != 1 || !strings.HasPrefix(reqs[0], c.method+" /x ") || len(lines(reqs[0], "if-none-match")) != 1 {
			t.Errorf("the upstream got %q", reqs)
		}
	}
}

func TestTrailersPassBothWays(t *testing.T) {
	trailer := make(chan http.Header, 1)
	s := newShim(t, settingsFor(t, upstream(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		trailer <- r.Trailer
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, "body")
		w.Header().Set("X-Sum", "7")
		w.Header().Set(http.TrailerPrefix+"X-Late", "8")
	})))
	got := raw(t, s.addr, "POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTrailer: X-In, X-POWERJOB-AUTH-PASSED\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-In: 5\r\nX-Other: 6\r\nX-POWERJOB-AUTH-PASSED: true\r\n\r\n")
	if tr := <-trailer; tr.Get("X-In") != "5" || len(tr) != 1 {
		t.Errorf("the upstream got %v, want only X-In: 5", tr)
	}
	if !strings.HasSuffix(got, "4\r\nbody\r\n0\r\nX-Late: 8\r\nX-Sum: 7\r\n\r\n") && !strings.HasSuffix(got, "4\r\nbody\r\n0\r\nX-Sum: 7\r\nX-Late: 8\r\n\r\n") {
		t.Errorf("the client got %q", got)
	}
}

func TestABodyIsNotSentBeforeTheUpstreamAsksForIt(t *testing.T) {
	asking := make(chan struct{})
	ask := sync.OnceFunc(func() { close(asking) })
	s := newShim(t, settingsFor(t, upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Expect") != "100-continue" {
			t.Errorf("the upstream got Expect: %q", r.Header.Get("Expect"))
		}
		<-asking
		body, _ := io.ReadAll(r.Body) // makes net/http send 100 Continue
		_, _ = w.Write(body)
	})))
	t.Cleanup(ask)
	c := dial(t, s.addr)
	_, _ = io.WriteString(c, "POST /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
	sent := time.Now()
	_ = c.SetReadDeadline(sent.Add(conversation.ContinueWait / 10))
	if n, err := c.Read(make([]byte, 1)); err == nil && time.Since(sent) < conversation.ContinueWait {
		t.Fatalf("the client got %d bytes before the upstream asked", n)
	}
	ask()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	r := bufio.NewReader(c)
	if head, _ := readRaw(r); head != "HTTP/1.1 100 Continue\r\n\r\n" {
		t.Fatalf("the client got %q", head)
	}
	_, _ = io.WriteString(c, "{}")
	rest, _ := io.ReadAll(r)
	if statusOf(string(rest)) != 200 || !strings.HasSuffix(string(rest), "{}") {
		t.Errorf("the client got %q", rest)
	}
}

func TestARefusedExpectationIsAnsweredWithoutTheBody(t *testing.T) {
	s := newShim(t, settingsFor(t, newRawServer(t, "").url))
	s.Swap(settingsFor(t, upstream(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusExpectationFailed) }))) //nolint:errcheck // valid as above
	got := raw(t, s.addr, "POST /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 200000000\r\n\r\n")
	if statusOf(got) != 417 {
		t.Errorf("the client got %q", got)
	}
}

func TestEarlyHintsPassAndTheAnswerKeepsItsHeaders(t *testing.T) {
	s := newShim(t, settingsFor(t, upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</a.css>")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		_, _ = io.WriteString(w, okBody)
	})))
	got := raw(t, s.addr, "POST /openApi/saveJob HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
	early, final, _ := strings.Cut(got, "\r\n\r\n")
	if statusOf(early) != 103 || len(lines(early, "link")) != 1 || lines(early, authLine) != nil {
		t.Errorf("the client got %q first", early)
	}
	if statusOf(final) != 200 || lines(final, "link") != nil || len(lines(final, authLine)) != 1 || len(lines(final, "connection")) != 1 || len(lines(final, "x-request-id")) != 1 {
		t.Errorf("the client got %q then", final)
	}
}

func TestCompressedBodiesAreNotTouched(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = io.WriteString(z, okBody)
	_ = z.Close()
	accept := make(chan []string, 2)
	s := newShim(t, settingsFor(t, upstream(t, func(w http.ResponseWriter, r *http.Request) {
		accept <- r.Header["Accept-Encoding"]
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed.Bytes())
	})))
	for _, with := range []string{"gzip", ""} {
		var headers []string
		if with != "" {
			headers = []string{"Accept-Encoding: " + with}
		}
		res, body := parse(t, raw(t, s.addr, request("GET", "/a.js", "", headers...)))
		if res.Header.Get("Content-Encoding") != "gzip" || body != packed.String() {
			t.Errorf("the client got %v %q", res.Header, body)
		}
		if got := strings.Join(<-accept, ","); got != with {
			t.Errorf("the upstream got Accept-Encoding: %q, want %q", got, with)
		}
	}
}
