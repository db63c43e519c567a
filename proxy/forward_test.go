package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"powerjob-shim/internal/tcpfaults"
	"powerjob-shim/proxy/exchange"
	"powerjob-shim/rules"
	"powerjob-shim/rules/openapi"
)

func mustProxy(t testing.TB, s Settings) *Proxy {
	t.Helper()
	p, err := New(Options{}, s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestTheRequestLineGoesUpstreamAsItCame(t *testing.T) {
	up := newRawServer(t, answerWith())
	s := newShim(t, settingsFor(t, up.url))
	for i, c := range []struct{ target, want string }{
		{"/", ""},
		{"/a", ""},
		{"/a?", ""},
		{"/?a=b", ""},
		{"/a/../b/./c//d", ""},
		{"//a/b?c", ""},
		{"/a;x=y/b;z?q=1;r=2", ""},
		{"/a?q=%zz&r=%", ""},
		{"/a?b=c?d=/../&&=&e", ""},
		{"/%66oo%2Fbar%20", ""},
		{"/a|b^c{d}\"e<f>`\\g", ""},
		{"/a?x={y}|z", ""},
		{"/caf\xc3\xa9", ""},
		{"/a#b", ""},
		{"/a%23b!$&'()*+,:@", ""},
		{"http://other.test/a/b?c=d", "/a/b?c=d"},
		{"http://other.test?c=d", "/?c=d"},
		{"http://other.test", "/"},
		{"//a|b", "http://shim.test//a|b"}, // see setTarget
	} {
		want := c.want
		if want == "" {
			want = c.target
		}
		got := raw(t, s.addr, request("GET", c.target, ""))
		reqs := up.requests()
		if len(reqs) != i+1 {
			t.Fatalf("%s did not arrive; the client got %q", c.target, got)
		}
		if line, _, _ := strings.Cut(reqs[i], "\r\n"); line != "GET "+want+" HTTP/1.1" {
			t.Errorf("%s went upstream as %q", c.target, line)
		}
	}
}

func TestNothingIsAddedToARequestButTheForwardingHeaders(t *testing.T) {
	up := newRawServer(t, answerWith())
	s := newShim(t, settingsFor(t, up.url))
	raw(t, s.addr, request("POST", "/openApi/saveJob", "{}", "Content-Type: application/json; charset=utf-8",
		"X-POWERJOB-ACCESS-TOKEN: t.t.t", "x-powerjob-auth-passed: true", "X-Request-Id: abc", "X-Odd: \xe4 \t=?\"; ,",
		"Cookie: a=b; c=d", "X-Two: 1", "X-Two: 2", "Keep-Alive: 5", "Proxy-Connection: x", "Idempotency-Key: k", "X-Idempotency-Key: k"))
	want := []string{
		"Cdn-Loop: powerjob-shim; id=x",
		"Content-Length: 2",
		"Content-Type: application/json; charset=utf-8",
		"Cookie: a=b; c=d",
		"Host: shim.test",
		"X-Forwarded-For: 127.0.0.1",
		"X-Forwarded-Host: shim.test",
		"X-Forwarded-Proto: http",
		"X-Odd: \xe4 \t=?\"; ,",
		"X-Powerjob-Access-Token: t.t.t",
		"X-Request-Id: abc",
		"X-Two: 1",
		"X-Two: 2",
	}
	head, body, _ := strings.Cut(withoutHop(up.requests()[0]), "\r\n\r\n")
	got := strings.Split(head, "\r\n")[1:]
	slices.Sort(got)
	if !slices.Equal(got, want) || body != "{}" {
		t.Errorf("the upstream got\n%q\nand %q, want\n%q", got, body, want)
	}
}

func TestNothingIsAddedToAnAnswerButTheRequestID(t *testing.T) {
	up := newRawServer(t, "HTTP/1.1 200 OK\r\nX-Odd: \xe4 \t=?\"; ,\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nDate: then\r\nServer: Tomcat\r\nContent-Length: 6\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n<html>")
	s := newShim(t, settingsFor(t, up.url))
	want := []string{"Connection: close", "Content-Length: 6", "Date: then", "Server: Tomcat", "Set-Cookie: a", "Set-Cookie: b", "X-Odd: \xe4 \t=?\"; ,", "X-Request-Id: abc"}
	for range 50 { // whether net/http guesses a Content-Type is a matter of timing
		got := raw(t, s.addr, request("GET", "/", "", "X-Request-Id: abc"))
		head, body, _ := strings.Cut(got, "\r\n\r\n")
		found := strings.Split(head, "\r\n")[1:]
		slices.Sort(found)
		if !slices.Equal(found, want) || body != "<html>" {
			t.Fatalf("the client got\n%q\nand %q, want\n%q", found, body, want)
		}
	}
}

// The Transport takes a request without a body but with an idempotency key for
// repeatable, and sends it again when a pooled connection turns out stale.
func TestAChangingCallIsNotRepeatedOnAStaleConnection(t *testing.T) {
	var executed atomic.Int64
	addr := tcpfaults.Serve(t, func(c net.Conn) { // answers one request, takes the next and closes
		r := bufio.NewReader(c)
		_, _ = readRaw(r)
		_, _ = io.WriteString(c, answerWith())
		if req, _ := readRaw(r); req != "" {
			executed.Add(1)
		}
		_ = c.Close()
	})
	s := newShim(t, settingsFor(t, "http://"+addr))
	raw(t, s.addr, request("POST", "/openApi/fetchAllJob", "")) // calls have connections of their own
	answer := raw(t, s.addr, request("POST", "/openApi/runJob?jobId=1", "", "Idempotency-Key: a", "X-Idempotency-Key: b"))
	if statusOf(answer) != 502 {
		t.Errorf("the client got %q, want 502", answer)
	}
	if n := executed.Load(); n != 1 {
		t.Errorf("the server executed %d, want 1", n)
	}
}

func TestIdempotencyKeysOfOtherRequestsPass(t *testing.T) {
	up := newRawServer(t, answerWith())
	s := newShim(t, settingsFor(t, up.url))
	raw(t, s.addr, request("POST", "/job/save", "{}", "Idempotency-Key: k"))
	if got := lines(up.requests()[0], "idempotency-key"); len(got) != 1 {
		t.Errorf("the upstream got %q", got)
	}
}

func TestAnUnreachableServerIs502AndSaysWhatToDo(t *testing.T) {
	dead := deadServer(t)
	s := newShim(t, answering(settingsFor(t, dead)))
	answer := raw(t, s.addr, request("POST", "/openApi/saveJob", "{}"))
	res, body := parse(t, answer)
	want := `{"success":false,"data":null,"message":"powerjob-shim: cannot reach the PowerJob server at ` + strings.TrimPrefix(dead, "http://") +
		`: connection refused. Nothing was sent. Check that it runs, and the address under upstreams.default.servers"}`
	if res.StatusCode != 502 || res.Header.Get("Content-Type") != "application/json" || body != want {
		t.Errorf("the client got %d %q\n%s\nwant 502\n%s", res.StatusCode, res.Header, body, want)
	}
	if found := lines(answer, openapi.AuthHeader); found != nil {
		t.Errorf("the error carries %q", found)
	}
}

func TestAServerThatIsTooSlowIs504(t *testing.T) {
	release := make(chan struct{})
	settings := settingsFor(t, upstream(t, func(http.ResponseWriter, *http.Request) { <-release }))
	defer close(release)
	u := settings.Upstreams["default"]
	u.Timeout = 50 * time.Millisecond
	settings.Upstreams["default"] = u
	s := newShim(t, settings)
	answer := raw(t, s.addr, request("POST", "/openApi/saveJob", "{}"))
	if statusOf(answer) != 504 || !strings.Contains(answer, "did not answer within 50ms") || lines(answer, openapi.AuthHeader) != nil {
		t.Errorf("the client got %q", answer)
	}
	if statusOf(answer) == 408 || lines(answer, "retry-after") != nil {
		t.Error("OkHttp would send again")
	}
}

// A call that is held has the group's timeout under any path, and its caller is told so.
func TestAHeldCallOutsideTheOpenAPIIsToldTheTimeoutThatApplied(t *testing.T) {
	release := make(chan struct{})
	settings := settingsFor(t, upstream(t, func(http.ResponseWriter, *http.Request) { <-release }))
	defer close(release)
	u := settings.Upstreams["default"]
	u.Timeout, u.StreamTimeout = 200*time.Millisecond, patience
	settings.Upstreams["default"] = u
	settings.Observing = true // else the timeout begins before the request is sent, and a slow machine may not get that far
	settings.Rules = compileRules(t, rules.Rule{Name: "own", Paths: []string{"/own/*"}, Dedup: &rules.Dedup{Match: rules.MatchBody, Window: dedupWindow}})
	s := newShim(t, settings)
	answer := raw(t, s.addr, request("POST", "/own/thing", "{}"))
	if statusOf(answer) != 504 || !strings.Contains(answer, "did not answer within 200ms") {
		t.Errorf("the client got %q", answer)
	}
}

func TestAnUpstreamsOwn408And503PassAsTheyCame(t *testing.T) {
	for _, status := range []string{"408 Request Timeout", "503 Service Unavailable"} {
		s := newShim(t, settingsFor(t, newRawServer(t, "HTTP/1.1 "+status+"\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").url))
		answer := raw(t, s.addr, request("POST", "/openApi/saveJob", "{}"))
		if !strings.HasPrefix(answer, "HTTP/1.1 "+status+"\r\n") || len(lines(answer, "retry-after")) != 1 {
			t.Errorf("the client got %q, want %s", answer, status)
		}
	}
}

func TestACallerWhoHangsUpIs499(t *testing.T) {
	arrived, gone := make(chan struct{}), make(chan struct{})
	s := newShim(t, settingsFor(t, upstream(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(arrived)
		<-r.Context().Done()
		close(gone)
	})))
	c := dial(t, s.addr)
	_, _ = io.WriteString(c, request("POST", "/server/acquire", "x"))
	<-arrived
	_ = c.Close()
	select {
	case <-gone:
	case <-time.After(patience):
		t.Error("the upstream's request was not given up")
	}
	if status := s.logLine(t, 0)[exchange.FieldStatus]; status != int64(hungUpStatus) {
		t.Errorf("the log says %v, want %d", status, hungUpStatus)
	}
	if n := s.sum(t, "powerjob_shim_requests_total", "code", "499"); n != 1 {
		t.Errorf("requests_total{code=499} is %v, want 1", n)
	}
}

// OkHttp silently sends again when a connection is cut before the status line.
func TestAnAnswerThatBreaksOffStillHasItsStatusLine(t *testing.T) {
	for i := range 50 {
		up := upstream(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			if i%2 == 1 {
				_, _ = io.WriteString(w, "begun")
			}
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		})
		s := newShim(t, settingsFor(t, up))
		answer := raw(t, s.addr, request("POST", "/openApi/saveJob", "{}"))
		if statusOf(answer) != 200 || len(lines(answer, "content-length")) != 1 {
			t.Fatalf("the client got %q", answer)
		}
	}
}
