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

// A status below 100 is no answer, but it says that the call was sent. The
// Transport may tell of it before its writing goroutine comes back from writing.
func TestACallThatGotNoStatusIsSentOnce(t *testing.T) {
	const calls = 3000
	sent := make(chan string, 2*calls)
	addr := tcpfaults.Serve(t, func(c net.Conn) {
		defer func() { _ = c.Close() }()
		for r := bufio.NewReader(c); ; {
			req, err := readRaw(r)
			if err != nil {
				return
			}
			sent <- lines(req, "x-number")[0]
			_, _ = io.WriteString(c, "HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})
	settings := settingsFor(t, "http://"+addr)
	settings.Rules = compileRules(t, authRule, changesRule)
	c := dial(t, newShim(t, settings).addr)
	r := bufio.NewReader(c)
	for i := range calls {
		_, _ = fmt.Fprintf(c, "POST /openApi/runJob HTTP/1.1\r\nHost: a\r\nX-Number: %d\r\nContent-Length: 7\r\n\r\njobId=1", i)
		if answer, err := readRaw(r); err != nil || statusOf(answer) != http.StatusGatewayTimeout {
			t.Fatalf("call %d got %q, %v", i, answer, err)
		}
	}
	times := map[string]int{}
	for len(sent) > 0 {
		times[<-sent]++
	}
	for number, n := range times {
		if n != 1 {
			t.Errorf("call %s was sent %d times", number, n)
		}
	}
}

func TestACallWithoutABodyHasNoneTheSecondTime(t *testing.T) {
	got := make(chan string, 2)
	addr := tcpfaults.Serve(t, func(c net.Conn) {
		defer func() { _ = c.Close() }()
		req, err := readRaw(bufio.NewReader(c))
		if err != nil {
			return
		}
		if got <- req; len(got) == 2 {
			_, _ = io.WriteString(c, answerWith())
		}
	})
	settings := settingsFor(t, "http://"+addr)
	settings.Rules = compileRules(t, authRule, changesRule)
	s := newShim(t, settings)
	if answer := raw(t, s.addr, request("POST", "/openApi/fetchJob?jobId=1", "", "Content-Length: 0")); statusOf(answer) != 200 {
		t.Fatalf("got %q", answer)
	}
	for range 2 {
		if req := <-got; strings.Contains(strings.ToLower(req), "transfer-encoding") {
			t.Errorf("sent %q", req)
		}
	}
}

// What is too large to be kept is not held back either, while the server pauses.
func TestAnAnswerThatOutgrowsTheRecordIsPassedOnAtOnce(t *testing.T) {
	for path, size := range map[string]int{"/openApi/runJob": 1500, "/openApi/authApp": 64<<10 + 100} {
		release := make(chan struct{})
		url := upstream(t, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(make([]byte, size))
			_ = http.NewResponseController(w).Flush()
			<-release
		})
		settings := settingsFor(t, url)
		settings.Rules, settings.Dedup.MaxAnswer = compileRules(t, authRule, changesRule), 1024
		c := dial(t, newShim(t, settings).addr)
		_, _ = io.WriteString(c, request("POST", path, "{}", "Content-Type: application/json"))
		_ = c.SetReadDeadline(time.Now().Add(patience))
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if n, err := io.CopyN(io.Discard, res.Body, int64(size)); err != nil {
			t.Errorf("%s: %d of %d bytes came before the server's pause ended: %v", path, n, size, err)
		}
		close(release)
		_ = res.Body.Close()
	}
}
