package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"powerjob-shim/internal/tcpfaults"
)

// early is a server that answers a request when it has its head: to the path refused
// with 413 and a whole answer, else with one half at once and the other when it has the
// whole body.
func early(t *testing.T, refused string) (url string, bodies <-chan string) {
	t.Helper()
	all := make(chan string, 10)
	addr := tcpfaults.Serve(t, func(c net.Conn) {
		defer func() { _ = c.Close() }()
		r := bufio.NewReader(c)
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			if req.URL.Path == refused {
				_, _ = io.WriteString(c, "HTTP/1.1 413 Request Entity Too Large\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbig\r\n0\r\n\r\n")
				_, _ = io.Copy(io.Discard, req.Body)
				continue
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
			body, _ := io.ReadAll(req.Body)
			all <- string(body)
			_, _ = io.WriteString(c, "6\r\n, last\r\n0\r\n\r\n")
		}
	})
	return "http://" + addr, all
}

// half begins a request of that many bytes, and sends half of them.
func half(t *testing.T, c net.Conn, target string, size int) {
	t.Helper()
	if _, err := fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", target, size, strings.Repeat("x", size/2)); err != nil {
		t.Fatal(err)
	}
}

// Half of the body is sent when the answer has begun, and the other half then.
func TestAnAnswerThatBeginsBeforeTheBodyEndsIsWhole(t *testing.T) {
	for _, target := range []string{"/job/save", "/openApi/runJob"} {
		for _, size := range []int{20, 20_000, 300_000, 2_000_000} {
			t.Run(fmt.Sprintf("%s, %d bytes", target, size), func(t *testing.T) {
				url, bodies := early(t, "")
				settings := settingsFor(t, url)
				settings.Rules = compileRules(t, authRule, changesRule)
				s := newShim(t, settings)
				s.bodies.Max = 0 // a call's body that is late goes on as it comes
				c := dial(t, s.addr)
				_ = c.SetDeadline(time.Now().Add(patience))
				r := bufio.NewReader(c)
				for range 2 { // on one connection
					half(t, c, target, size)
					res, err := http.ReadResponse(r, nil)
					if err != nil {
						t.Fatal(err)
					}
					first := make([]byte, len("first"))
					if _, err := io.ReadFull(res.Body, first); err != nil {
						t.Fatal(err)
					}
					if _, err := io.WriteString(c, strings.Repeat("x", size-size/2)); err != nil {
						t.Fatal(err)
					}
					if last, err := io.ReadAll(res.Body); string(first)+string(last) != "first, last" || err != nil {
						t.Errorf("the caller got %q and %q, %v", first, last, err)
					}
					if t.Failed() {
						return
					}
					if got := <-bodies; got != strings.Repeat("x", size) {
						t.Errorf("the server got %d bytes", len(got))
					}
				}
			})
		}
	}
}

// A caller who waits for an answer before he sends the rest gets it whole, and then the
// end of the connection. One who sends all the same can go on.
func TestAnEarlyAnswerIsNotHeldBackForTheBody(t *testing.T) {
	for _, target := range []string{"/job/save", "/openApi/runJob"} {
		for _, size := range []int{20, 20_000, 2_000_000} {
			for _, waits := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s, %d bytes, waits %v", target, size, waits), func(t *testing.T) {
					t.Parallel()
					url, bodies := early(t, target)
					settings := settingsFor(t, url)
					settings.Rules = compileRules(t, authRule, changesRule)
					s := newShim(t, settings)
					s.bodies.Max = 0
					c := dial(t, s.addr)
					_ = c.SetDeadline(time.Now().Add(bodyTimeoutByDefault / 2)) // nothing waits for so long
					r := bufio.NewReader(c)
					half(t, c, target, size)
					if !waits {
						_, _ = io.WriteString(c, strings.Repeat("x", size-size/2))
					}
					res, err := http.ReadResponse(r, nil)
					if err != nil {
						t.Fatal(err)
					}
					if body, err := io.ReadAll(res.Body); string(body) != "big" || err != nil || res.StatusCode != 413 {
						t.Errorf("the caller got %d, %q, %v", res.StatusCode, body, err)
					}
					if waits {
						if rest, err := io.ReadAll(r); len(rest) > 0 || err != nil {
							t.Errorf("then %q, %v", rest, err)
						}
						return
					}
					_, _ = io.WriteString(c, "POST /job/other HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\ny")
					if res, err = http.ReadResponse(r, nil); err != nil {
						t.Fatal(err)
					}
					if body, err := io.ReadAll(res.Body); string(body) != "first, last" || err != nil || <-bodies != "y" {
						t.Errorf("then the caller got %q, %v", body, err)
					}
				})
			}
		}
	}
}

// The caller goes on sending, and reads meanwhile.
func TestAnEarlyAnswerWithoutABodyIsNotHeldBack(t *testing.T) {
	addr := tcpfaults.Serve(t, func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 413 Request Entity Too Large\r\nContent-Length: 0\r\n\r\n")
			_, _ = io.Copy(io.Discard, c)
		}
	})
	s := newShim(t, settingsFor(t, "http://"+addr))
	c := dial(t, s.addr)
	_ = c.SetDeadline(time.Now().Add(bodyTimeoutByDefault / 2))
	answered, sent := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = io.WriteString(c, "POST /job/save HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
		for {
			select {
			case <-answered:
				return
			case <-time.After(10 * time.Millisecond):
				_, _ = io.WriteString(c, "x")
			}
		}
	}()
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || res.StatusCode != 413 {
		t.Errorf("the caller got %v, %v", res, err)
	}
	close(answered)
	<-sent
}
