package proxy

import (
	"bufio"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"powerjob-shim/proxy/exchange"
)

// bothWays sends a save through a shim that holds it and one that streams it,
// and returns what the server got of each, and what came back.
func bothWays(t *testing.T, answer string, extra ...string) (sent [2]string, came [2]*http.Response, bodies [2]string) {
	t.Helper()
	for i, settings := range []func(testing.TB, ...string) Settings{dedupSettings, settingsFor} {
		up := newRawServer(t, answer)
		s := newShim(t, settings(t, up.url))
		message := strings.Replace(save(saveBody(0, "a")), "\r\n\r\n", "\r\n"+strings.Join(append(extra, exchange.RequestIDHeader+": same"), "\r\n")+"\r\n\r\n", 1)
		got := raw(t, s.addr, message)
		if strings.HasPrefix(got, "HTTP/1.1 103") { // a stream's informational answers are passed on
			_, got, _ = strings.Cut(got, "\r\n\r\n")
		}
		res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(got)), nil)
		if err != nil {
			t.Fatalf("%v in %q", err, got)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatalf("%v in %q", err, got)
		}
		for _, name := range []string{"Date", headerShim, "Content-Length", "Trailer"} {
			delete(res.Header, name)
		}
		up.mu.Lock()
		sent[i], came[i], bodies[i] = withoutHop(strings.ReplaceAll(strings.Join(up.got, "\n"), up.url[len("http://"):], "server")), res, string(body)
		up.mu.Unlock()
	}
	return sent, came, bodies
}

func TestAHeldCallReachesTheServerAsAStreamedOneDoes(t *testing.T) {
	for _, extra := range [][]string{
		nil,
		{"User-Agent: okhttp/3.14.9", "Accept-Encoding: gzip", "Connection: Keep-Alive"},
		{"Connection: X-Hop, , x-twice", "X-Hop: 1", "X-Twice: 1", "X-Twice: 2"},
		{"Keep-Alive: timeout=5", "Proxy-Connection: keep-alive", "Proxy-Authorization: Basic eA==", "Proxy-Authenticate: x"},
		{"X-Twice: 1", "x-twice: 2", "X-Empty:"},
		{"X-Forwarded-For: 1.2.3.4", "X-Forwarded-Host: b", "X-Forwarded-Proto: https", "Forwarded: for=1.2.3.4"},
		{"X-POWERJOB-AUTH-PASSED: true", "Idempotency-Key: k", "X-Idempotency-Key: k", "Cookie: a=b"},
	} {
		sent, _, _ := bothWays(t, answerWith(), extra...)
		if sent[0] != sent[1] || sent[0] == "" {
			t.Errorf("%q: the server got\n%s\nwant\n%s", extra, sent[0], sent[1])
		}
	}
}

func TestAHeldCallIsNotUpgraded(t *testing.T) {
	up := newRawServer(t, answerWith())
	s := newShim(t, dedupSettings(t, up.url))
	got := raw(t, s.addr, strings.Replace(save(saveBody(0, "a")), "Connection: close\r\n", "Connection: close, Upgrade, TE\r\nUpgrade: websocket\r\nTE: trailers\r\n", 1))
	if statusOf(got) != 200 || decision(got) != "forwarded" {
		t.Errorf("the caller got %q", got)
	}
	for _, name := range []string{"Upgrade", "TE", "Connection"} {
		if found := lines(up.got[0], name); found != nil {
			t.Errorf("the server got %q", found)
		}
	}
}

func TestTheAnswerToAHeldCallComesBackAsAStreamedOneDoes(t *testing.T) {
	const chunks = "Content-Type: a/b\r\nTransfer-Encoding: chunked\r\n%\r\n2\r\n{}\r\n3\r\nabc\r\n0\r\n"
	for _, answer := range []string{
		answerWith(),
		answerWith("X-Twice: 1", "X-Twice: 2", "Set-Cookie: a=b", "Set-Cookie: c=d"),
		answerWith("Connection: X-Hop", "X-Hop: 1", "Keep-Alive: timeout=5", "Proxy-Authenticate: x", "Upgrade: h2c"),
		answerWith("Connection: X-POWERJOB-AUTH-PASSED", "X-POWERJOB-AUTH-PASSED: false"),
		"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\nno",
		"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n",
		"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 200 OK\r\n" + strings.Replace(chunks, "%", "", 1) + "\r\n",
		"HTTP/1.1 200 OK\r\n" + strings.Replace(chunks, "%", "Trailer: X-Sum\r\n", 1) + "X-Sum: 7\r\n\r\n",
		"HTTP/1.1 200 OK\r\n" + strings.Replace(chunks, "%", "", 1) + "X-Late: 8\r\n\r\n",
		"HTTP/1.1 200 OK\r\n" + strings.Replace(chunks, "%", "Trailer: X-Sum\r\n", 1) + "X-Sum: 7\r\nX-Late: 8\r\n\r\n",
	} {
		_, came, bodies := bothWays(t, answer)
		held, streamed := came[0], came[1]
		if held.StatusCode != streamed.StatusCode || bodies[0] != bodies[1] || !reflect.DeepEqual(held.Header, streamed.Header) {
			t.Errorf("%q:\ngot  %d %v %q\nwant %d %v %q", answer, held.StatusCode, held.Header, bodies[0], streamed.StatusCode, streamed.Header, bodies[1])
		}
		if len(held.Trailer)+len(streamed.Trailer) > 0 && !reflect.DeepEqual(held.Trailer, streamed.Trailer) {
			t.Errorf("%q: got the trailers %v, want %v", answer, held.Trailer, streamed.Trailer)
		}
	}
}

// A server that switches protocols unasked has executed nobody knows what.
func TestAServerThatSwitchesProtocolsUnaskedLeavesTheOutcomeUnknown(t *testing.T) {
	up := newRawServer(t, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
	s := newShim(t, dedupSettings(t, up.url))
	for i := range 2 {
		if got := raw(t, s.addr, save(saveBody(0, "a"))); statusOf(got) != 504 || decision(got) != "unknown" {
			t.Errorf("the caller got %q", got)
		}
		if n := len(up.got); n != i+1 {
			t.Errorf("the server got %d requests, want %d", n, i+1)
		}
	}
}

// What is larger than can be kept is passed on as it comes.
func TestALargeAnswerToAHeldCallIsPassedOn(t *testing.T) {
	want := strings.Repeat("x", 300<<10)
	up := newRawServer(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4b000\r\n"+want+"\r\n0\r\nX-Sum: 7\r\n\r\n")
	s := newShim(t, dedupSettings(t, up.url))
	res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(raw(t, s.addr, save(saveBody(0, "a"))))), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil || string(body) != want || res.Trailer.Get("X-Sum") != "7" {
		t.Errorf("%d bytes came, %v, trailers %v; want %d bytes, X-Sum: 7", len(body), err, res.Trailer, len(want))
	}
}
