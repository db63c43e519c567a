package plain

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"powerjob-shim/proxy/listen/handover"
)

// net/http's server is the oracle here: the same bytes go to it and to Server, cut
// in the same places. Handlers must see the same requests, and callers the same
// answers, but for their Date and for how a body is cut in chunks. All runs in
// virtual time, in which a deadline costs nothing.

// told is what a server made of what it was sent.
type told struct {
	requests []string // as the handler saw them
	answers  string
	closed   bool          // by the server, before the caller did
	after    time.Duration // when that was
}

const (
	isPrefix   = "/openApi/"
	mostLength = 2000
)

// served sends pieces to a server and returns what became of them within a time. own:
// by Server, else by net/http's alone.
func served(t *testing.T, pieces [][]byte, within time.Duration, own bool) (out told) {
	t.Helper()
	var mu sync.Mutex
	h := &http.Server{
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: quiet,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var b strings.Builder
			fmt.Fprintf(&b, "%s %q %s host %q length %d coding %q close %t from %s %q %q\n", r.Method, r.RequestURI, r.Proto, r.Host, r.ContentLength, r.TransferEncoding, r.Close, r.RemoteAddr, r.URL.Path, r.URL.String())
			for _, name := range slices.Sorted(keysOf(r.Header)) {
				fmt.Fprintf(&b, "%s: %q\n", name, r.Header[name])
			}
			defer func() {
				mu.Lock()
				defer mu.Unlock()
				out.requests = append(out.requests, b.String())
			}()
			act(w, r, &b)
		}),
	}
	l := handover.NewListener(&net.TCPAddr{})
	done := make(chan error, 1)
	s := &Server{HTTP: h, Plain: func(target string, length int64) bool {
		return strings.HasPrefix(target, isPrefix) && length <= mostLength
	}}
	if !own {
		s.Plain = nil
	}
	go func() { done <- s.Serve(l) }()
	near, far := net.Pipe()
	l.Give(far)

	var answers bytes.Buffer
	ended := make(chan struct{})
	began := time.Now()
	var after time.Duration
	go func() {
		_, _ = io.Copy(&answers, near)
		after = time.Since(began)
		close(ended)
	}()
	sent := make(chan []byte, len(pieces))
	go func() {
		for p := range sent {
			_, _ = near.Write(p) // blocks until it is read
		}
	}()
	for _, p := range pieces {
		if len(p) > 0 {
			sent <- p
			synctest.Wait()
		}
	}
	close(sent)
	time.Sleep(within)
	synctest.Wait()
	select {
	case <-ended:
		out.closed, out.after = true, after
	default:
	}
	_ = near.Close()
	<-ended
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Serve returned %v", err)
	}
	time.Sleep(time.Second) // as above
	mu.Lock()
	defer mu.Unlock()
	out.answers = normal(answers.Bytes())
	return out
}

var date = regexp.MustCompile(`(?m)^Date: [^\r\n]+`)

// normal returns answers with one Date, and with their chunks put together.
func normal(raw []byte) string {
	var b strings.Builder
	rd := bufio.NewReader(bytes.NewReader(raw))
	for {
		head, err := headOf(rd)
		b.WriteString(date.ReplaceAllString(head, "Date: now"))
		if err != nil {
			return b.String()
		}
		res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(head)), nil)
		if err != nil {
			rest, _ := io.ReadAll(rd)
			return b.String() + date.ReplaceAllString(string(rest), "Date: now")
		}
		if res.StatusCode < 200 {
			continue
		}
		if res.ContentLength < 0 && len(res.TransferEncoding) == 0 {
			rest, _ := io.ReadAll(rd)
			return b.String() + date.ReplaceAllString(string(rest), "Date: now")
		}
		rd = bufio.NewReader(io.MultiReader(strings.NewReader(head), rd))
		if res, err = http.ReadResponse(rd, nil); err != nil {
			return b.String() + err.Error()
		}
		body, err := io.ReadAll(res.Body)
		fmt.Fprintf(&b, "%s\n%v %v\n", body, err, res.Trailer)
		if err != nil {
			return b.String()
		}
	}
}

func headOf(rd *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		line, err := rd.ReadString('\n')
		b.WriteString(line)
		if err != nil || line == "\r\n" {
			return b.String(), err
		}
	}
}

func keysOf(h http.Header) func(func(string) bool) {
	return func(yield func(string) bool) {
		for name := range h {
			if !yield(name) {
				return
			}
		}
	}
}

// agree fails the test unless both servers make the same of pieces.
func agree(t *testing.T, pieces [][]byte) {
	t.Helper()
	agreeWithin(t, pieces, time.Second) // net/http lingers for half of it
}

func agreeWithin(t *testing.T, pieces [][]byte, within time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		want, got := served(t, pieces, within, false), served(t, pieces, within, true)
		if !slices.Equal(want.requests, got.requests) {
			t.Errorf("of %q\nhandlers saw %q\nwith net/http %q", pieces, got.requests, want.requests)
		}
		if want.answers != got.answers || want.closed != got.closed || want.after != got.after {
			t.Errorf("of %q\nthe caller got %q, closed %t after %v\nwith net/http    %q, closed %t after %v",
				pieces, got.answers, got.closed, got.after, want.answers, want.closed, want.after)
		}
	})
}

// cut returns stream in pieces of these lengths; the last one is the rest. 0
// stands for 40, so that a stream is not cut too often.
func cut(stream, lengths []byte) (pieces [][]byte) {
	for _, n := range lengths {
		if n == 0 {
			n = 40
		}
		if len(stream) <= int(n) || len(pieces) == 40 {
			break
		}
		pieces, stream = append(pieces, stream[:n]), stream[n:]
	}
	return append(pieces, stream)
}

func call(what, body string) string {
	return fmt.Sprintf("POST /openApi/%s HTTP/1.1\r\nHost: h:7700\r\nContent-Length: %d\r\nX-POWERJOB-APP-ID: 1\r\nAccept-Encoding: gzip\r\n\r\n%s", what, len(body), body)
}

func TestBothServersAgreeOnEachAct(t *testing.T) {
	for _, what := range acts {
		for _, body := range []string{"", "hello", strings.Repeat("x", mostLength), strings.Repeat("x", mostLength+1)} {
			stream := []byte(call(what, body) + call("echo", "behind it"))
			agree(t, [][]byte{stream})
			agree(t, cut(stream, []byte{100, 30, 1}))
		}
	}
}

func TestBothServersAgreeWhereverARequestIsCut(t *testing.T) {
	stream := []byte(call("echo", "one") + "\r\n" + call("unread", "two"))
	for i := range stream {
		agree(t, [][]byte{stream[:i], stream[i:]})
		agree(t, [][]byte{stream[:i]}) // and nothing more
	}
	var each [][]byte
	for i := range stream {
		each = append(each, stream[i:i+1])
	}
	agree(t, each)
}

// A head that never comes whole, and a connection that nobody uses.
func TestBothServersAgreeOnDeadlines(t *testing.T) {
	one := call("echo", "one")
	for _, stream := range []string{"", "P", one[:40], "GET / HT", one, one + "POST /", one + "GET /x HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: h\r\n\r\nPOST"} {
		agreeWithin(t, cut([]byte(stream), []byte{byte(len(one)), 2}), 2*time.Minute)
	}
}

// oddities are lines and parts of which some make a request odd, or wrong.
var (
	oddTargets = []string{"/openApi/echo?a=b%20c", "/openApi/echo?", "/openApi/%65cho", "/openApi/echo;a", "//openApi/echo", "/openApi/../x", "http://h/openApi/echo", "*", "/other/echo",
		"/openApi/echo#f", "/openApi/echo?x#f", "/openApi/echo ", "/openApi/\x00", "/openApi/é", "/openApi/echo?\"", "", "/openApi/echo?a\tb"}
	oddLines = []string{"Connection: close", "Connection: keep-alive", "Connection: Keep-Alive", "Connection: close, x", "Connection: X-Y", "connection:close", "Connection:", "Expect: 100-continue", "Expect: x",
		"Transfer-Encoding: chunked", "Transfer-Encoding: identity", "Upgrade: websocket", "TE: trailers", "Trailer: X", "Host: other", "Host:", "Host: a b", "Content-Length: 3", "Content-Length: +3",
		"Content-Length: 03", "Content-Length: 3, 3", "Content-Length: -1", "Content-Length: 99999999999999999999", "Content-Length:", " folded: x", "\tfolded: y", "Name : x", "Na me: x", ": x", "x", "X-Empty:",
		"X-Nul: a\x00b", "X-Bell: a\x07b", "X-Tab: a\tb", "X-Obs: a\xffb", "X-Cr: a\rb", "X-Lf: a\nX-B: c", "X-Del: \x7f", "Pragma: no-cache", "Cache-Control: x", "Pragma: x", "X-POWERJOB-ACCESS-TOKEN: t", "X-powerjob-access-token: u",
		"Cookie: a=b", "Keep-Alive: 5", "Proxy-Connection: close", "HTTP2-Settings: x", "X-Long: " + strings.Repeat("y", 17<<10)}
	oddEnds = []string{"\n", "\r\r\n", "\r\n\r\n", "\r\n \r\n"}
)

// randomStream makes one to four requests, each with few oddities.
func randomStream(rnd *rand.Rand) []byte {
	pick := func(of []string) string { return of[rnd.IntN(len(of))] }
	var b strings.Builder
	for range 1 + rnd.IntN(4) {
		method, target, version, end := "POST", isPrefix+pick(acts), "HTTP/1.1", "\r\n"
		switch rnd.IntN(12) {
		case 0:
			method = pick([]string{"GET", "post", "PUT", "HEAD", "OPTIONS", "POST ", "PO", "CONNECT"})
		case 1:
			target = pick(oddTargets)
		case 2:
			version = pick([]string{"HTTP/1.0", "HTTP/2.0", "HTTP/1.2", "http/1.1", "HTTP/1.1 ", ""})
		case 3:
			end = pick(oddEnds)
		}
		body := strings.Repeat("b", pickInt(rnd, 0, 1, 5, 300, mostLength, 5000))
		lines := []string{"Host: h", fmt.Sprintf("Content-Length: %d", len(body)), "Content-Type: text/plain"}
		if rnd.IntN(6) == 0 {
			lines = lines[:1]
		}
		for range pickInt(rnd, 0, 0, 1, 1, 2, 3) {
			lines = slices.Insert(lines, rnd.IntN(len(lines)+1), pick(oddLines))
		}
		b.WriteString(method + " " + target + " " + version + end)
		for _, l := range lines {
			b.WriteString(l + "\r\n")
		}
		b.WriteString("\r\n" + body + strings.Repeat("\r\n", pickInt(rnd, 0, 0, 0, 1, 2, 3)))
	}
	return []byte(b.String())
}

func pickInt(rnd *rand.Rand, of ...int) int { return of[rnd.IntN(len(of))] }

func randomCuts(rnd *rand.Rand) (lengths []byte) {
	for range rnd.IntN(30) {
		lengths = append(lengths, byte(rnd.IntN(256)))
	}
	return lengths
}

func TestBothServersAgreeOnRandomStreams(t *testing.T) {
	const rounds = 1500
	for seed := range uint64(rounds) {
		rnd := rand.New(rand.NewPCG(seed, 18))
		if agree(t, cut(randomStream(rnd), randomCuts(rnd))); t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func FuzzBothServersAgree(f *testing.F) {
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 18))
		f.Add(randomStream(rnd), randomCuts(rnd))
	}
	f.Fuzz(func(t *testing.T, stream, lengths []byte) {
		agree(t, cut(stream, lengths))
	})
}
