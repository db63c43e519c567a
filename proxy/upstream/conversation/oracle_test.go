package conversation

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"powerjob-shim/internal/socket"
)

// direct connects without TLS.
func direct(ctx context.Context, server string, wrap func(net.Conn) net.Conn) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", server)
	if err != nil {
		return nil, err
	}
	return wrap(socket.New(c.(*net.TCPConn))), nil
}

// RoundTrip implements http.RoundTripper for requests whose body can be read
// without waiting. It ends with the request's context.
func (p *Pool) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	until, _ := ctx.Deadline()
	return p.Send(Call{Request: r, Until: until, Watch: func() error { return context.Cause(ctx) }})
}

// streams sends requests as streams.
type streams struct{ *Pool }

// RoundTrip implements http.RoundTripper.
func (s streams) RoundTrip(r *http.Request) (*http.Response, error) {
	return s.Stream(Stream{Request: r})
}

// scripted is a server that answers the next request on each connection with the
// bytes it is given, and then closes the connection or waits.
type scripted struct {
	addr   string
	answer chan script // for one connection
}

type script struct {
	text   string
	closes bool // after the answer
}

func newScripted(t testing.TB) *scripted {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	s := &scripted{addr: ln.Addr().String(), answer: make(chan script, 1)}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.serve(c)
		}
	}()
	return s
}

func (s *scripted) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	r := bufio.NewReader(c)
	req, err := http.ReadRequest(r)
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, req.Body)
	answer := <-s.answer
	_, _ = io.WriteString(c, answer.text)
	if !answer.closes {
		_, _ = r.ReadByte() // until the other side has enough
	}
}

// outcome is what a call came to.
type outcome struct {
	Failed  bool // no head came
	Status  int
	Header  http.Header
	Length  int64
	Body    string
	Broken  bool // the body was not whole
	Trailer http.Header
}

func call(t testing.TB, rt http.RoundTripper, method, addr string) outcome {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, "http://"+addr+"/openApi/x", strings.NewReader("ping"))
	if err != nil {
		t.Fatal(err)
	}
	res, err := rt.RoundTrip(r)
	if err != nil {
		return outcome{Failed: true}
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	o := outcome{Status: res.StatusCode, Header: res.Header, Length: res.ContentLength, Body: string(body), Broken: err != nil, Trailer: res.Trailer}
	if o.Broken {
		o.Trailer = nil // nobody reads it
	}
	return o
}

// The odd answers of the tests of faults, and some more.
var answers = []struct {
	name, method, text string
	closes             bool
}{
	{name: "plain", text: "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-A: 1\r\nx-a: 2\r\n\r\nbody"},
	{name: "chunked", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"},
	{name: "trailers", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 7\r\nX-Late: 8\r\n\r\n"},
	{name: "until it closes", text: "HTTP/1.1 200 OK\r\n\r\nuntil the end", closes: true},
	{name: "HTTP/1.0", text: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", closes: true},
	{name: "HTTP/1.0, kept", text: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"},
	{name: "close", text: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", closes: true},
	{name: "HEAD", method: "HEAD", text: "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n"},
	{name: "204", text: "HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n"},
	{name: "304", text: "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\nETag: x\r\n\r\n"},
	{name: "100", text: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"},
	{name: "103 twice", text: "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\nno"},
	{name: "gzip", text: "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08"},
	{name: "both lengths", text: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"},
	{name: "two lengths", text: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokk"},
	{name: "equal lengths", text: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"},
	{name: "no length", text: "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"},
	{name: "bad chunk", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nz\r\nabc\r\n0\r\n\r\n"},
	{name: "unknown coding", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"},
	{name: "no HTTP", text: "SSH-2.0-OpenSSH_9.2\r\n\r\n", closes: true},
	{name: "TLS alert", text: "\x15\x03\x01\x00\x02\x02\x50\r\n", closes: true},
	{name: "no status", text: "HTTP/1.1 abc\r\n\r\n", closes: true},
	{name: "small status", text: "HTTP/1.1 042 What\r\nContent-Length: 0\r\n\r\n"},
	{name: "bad header", text: "HTTP/1.1 200 OK\r\nX A: 1\r\nContent-Length: 0\r\n\r\n"},
	{name: "bare newlines", text: "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"},
	{name: "folded", text: "HTTP/1.1 200 OK\r\nX-A: 1\r\n  2\r\nContent-Length: 2\r\n\r\nok"},
}

// Whatever a server answers, cut off wherever one likes: a conversation and a
// stream make of it what net/http's Transport makes of it.
func TestAnswersAreReadAsTheTransportReadsThem(t *testing.T) {
	for _, a := range answers {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			s := newScripted(t)
			method := a.method
			if method == "" {
				method = "POST"
			}
			for cut := range len(a.text) + 1 {
				var got [3]outcome
				pool := &Pool{Connect: direct}
				transport := &http.Transport{DisableCompression: true, DisableKeepAlives: false}
				for i, rt := range []http.RoundTripper{pool, transport, streams{pool}} {
					s.answer <- script{a.text[:cut], a.closes || cut < len(a.text)}
					got[i] = call(t, rt, method, s.addr)
					pool.CloseIdle()
					transport.CloseIdleConnections()
				}
				for _, got1 := range []outcome{got[0], got[2]} {
					if !reflect.DeepEqual(got1, got[1]) {
						t.Errorf("cut after %d bytes, %q:\ngot  %+v\nwant %+v", cut, a.text[:cut], got1, got[1])
					}
				}
			}
		})
	}
}

// Stricter than the Transport, which takes 10 MB.
func TestHeadsAreBounded(t *testing.T) {
	ok := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	for _, a := range []struct {
		name, text string
		fails      bool
	}{
		{"60 KiB", "HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", 60<<10) + "\r\nContent-Length: 2\r\n\r\nok", false},
		{"a long body behind a short head", "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + strings.Repeat("b", 300000), false},
		{"80 KiB", "HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", 80<<10) + "\r\nContent-Length: 2\r\n\r\nok", true},
		{"80 KiB of informational ones", strings.Repeat("HTTP/1.1 103 Early Hints\r\nX-A: "+strings.Repeat("a", 16<<10)+"\r\n\r\n", 5) + ok, true},
		{"8 informational ones", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 8) + ok, false},
		{"9 informational ones", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 9) + ok, true},
	} {
		s := newScripted(t)
		s.answer <- script{text: a.text}
		pool := &Pool{Connect: direct}
		got := call(t, pool, "POST", s.addr)
		pool.CloseIdle()
		if got.Failed != a.fails || got.Broken {
			t.Errorf("%s: failed %v, broken %v; want failed %v", a.name, got.Failed, got.Broken, a.fails)
		}
	}
}

// The bytes on the wire are the Transport's.
func TestRequestsAreWrittenAsTheTransportWritesThem(t *testing.T) {
	for i, change := range []func(*http.Request){
		func(*http.Request) {},
		func(r *http.Request) { r.Header["User-Agent"] = nil },
		func(r *http.Request) { r.Host = "virtual.test:80" },
		func(r *http.Request) { r.Body, r.ContentLength = http.NoBody, 0 },
		func(r *http.Request) { r.URL.Opaque = "/openApi/%66etch;x=y?a=b;c" },
		func(r *http.Request) { r.Method = "GET"; r.Body, r.ContentLength = http.NoBody, 0 },
		func(r *http.Request) { r.Header = http.Header{"X-B": {"1", "2"}, "x-lower": {"v"}, "A": {""}} },
	} {
		var got [3]string
		for j, rt := range []http.RoundTripper{&Pool{Connect: direct}, &http.Transport{DisableCompression: true}, streams{&Pool{Connect: direct}}} {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			r, _ := http.NewRequest("POST", "http://"+ln.Addr().String()+"/openApi/x?y=%20", strings.NewReader("ping"))
			change(r)
			if r.Host == ln.Addr().String() {
				r.Host = "same.test"
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				if res, err := rt.RoundTrip(r); err == nil {
					_ = res.Body.Close()
				}
			}()
			c, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			var all strings.Builder
			req, err := http.ReadRequest(bufio.NewReader(io.TeeReader(c, &all)))
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, req.Body)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
			<-done
			_, _ = c.Close(), ln.Close()
			got[j] = all.String()
		}
		if got[0] != got[1] || got[2] != got[1] || got[0] == "" {
			t.Errorf("%d: wrote\n%s\nas a stream\n%s\nwant\n%s", i, got[0], got[2], got[1])
		}
	}
}
