package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"powerjob-shim/internal/tcpfaults"
)

// rawServer records requests byte for byte and answers each with the same
// bytes. It closes a connection when an answer says so.
type rawServer struct {
	url string
	mu  sync.Mutex
	got []string
}

func newRawServer(t testing.TB, answer string) *rawServer {
	t.Helper()
	s := &rawServer{}
	s.url = "http://" + tcpfaults.Serve(t, func(c net.Conn) { s.serve(c, answer) })
	return s
}

func (s *rawServer) serve(c net.Conn, answer string) {
	defer func() { _ = c.Close() }()
	r := bufio.NewReader(c)
	for {
		req, err := readRaw(r)
		if req == "" {
			return
		}
		s.mu.Lock()
		s.got = append(s.got, req)
		s.mu.Unlock()
		if err != nil {
			return
		}
		if _, err := io.WriteString(c, answer); err != nil || strings.Contains(answer, "Connection: close") {
			return
		}
	}
}

// readRaw reads one message with the body that its header announces.
func readRaw(r *bufio.Reader) (string, error) {
	var b strings.Builder
	length, chunked := 0, false
	for {
		line, err := r.ReadString('\n')
		b.WriteString(line)
		if err != nil {
			return b.String(), err
		}
		if v, ok := cutPrefixFold(line, "content-length:"); ok {
			length, _ = strconv.Atoi(strings.TrimSpace(v))
		}
		if v, ok := cutPrefixFold(line, "transfer-encoding:"); ok {
			chunked = strings.TrimSpace(v) == "chunked"
		}
		if line == "\r\n" {
			break
		}
	}
	for chunked {
		line, err := r.ReadString('\n')
		b.WriteString(line)
		if err != nil || line == "\r\n" {
			return b.String(), err
		}
	}
	_, err := io.CopyN(&b, r, int64(length))
	return b.String(), err
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix) {
		return s[len(prefix):], true
	}
	return "", false
}

// requests returns what came so far.
func (s *rawServer) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.got...)
}

// raw sends bytes and returns everything that comes back until the connection
// is closed, or is silent for as long as a busy machine may be.
func raw(t testing.TB, addr, request string) string {
	t.Helper()
	c := dial(t, addr)
	_, _ = io.WriteString(c, request) // the other side may refuse in the middle
	_ = c.SetReadDeadline(time.Now().Add(patience))
	var b bytes.Buffer
	_, _ = b.ReadFrom(c) // a reset ends it too
	return b.String()
}

func dial(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.(*net.TCPConn)
}

// request is a request in HTTP/1.1 after which the connection closes.
func request(method, target, body string, headers ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: shim.test\r\nConnection: close\r\n", method, target)
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	if body != "" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	return b.String() + "\r\n" + body
}

// lines returns the header lines of a raw message that start with name,
// whatever its case.
func lines(message, name string) []string {
	head, _, _ := strings.Cut(message, "\r\n\r\n")
	var found []string
	for _, line := range strings.Split(head, "\r\n") {
		if _, ok := cutPrefixFold(line, name+":"); ok {
			found = append(found, line)
		}
	}
	return found
}

// statusOf returns the status code of a raw answer, 0 if the answer has no status line.
func statusOf(answer string) int {
	fields := strings.Fields(answer)
	if len(fields) < 2 {
		return 0
	}
	code, _ := strconv.Atoi(fields[1])
	return code
}

// parse reads a raw answer.
func parse(t testing.TB, answer string) (*http.Response, string) {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(answer)), nil)
	if err != nil {
		t.Fatalf("reading the answer %q: %v", answer, err)
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		t.Fatalf("reading the body of %q: %v", answer, err)
	}
	return res, string(body)
}

// asking sends a request, written out, and returns its answer.
type asking func(request string) (answer string, err error)

// onConnections runs each n times at once, each time with a connection of its own.
// wait returns when all have ended.
func onConnections(t testing.TB, addr string, n int, each func(i int, ask asking)) (wait func()) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = c.Close() }()
			r := bufio.NewReader(c)
			each(i, func(request string) (string, error) {
				_, _ = io.WriteString(c, request)
				return readRaw(r)
			})
		})
	}
	return all.Wait
}
