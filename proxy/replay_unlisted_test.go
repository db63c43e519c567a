package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"powerjob-shim/rules/openapi"
)

// anyCall is a server that executes every call under the OpenAPI, known or not,
// and answers it with a number.
type anyCall struct {
	url    string
	answer func(call string, w http.ResponseWriter) bool // true: it was answered; nil: none

	mu       sync.Mutex
	executed map[string]int // guarded by mu; by method and path
	tokens   int            // guarded by mu
}

func newAnyCall(t testing.TB) *anyCall {
	s := &anyCall{executed: map[string]int{}}
	s.url = upstream(t, s.serve)
	return s
}

func (s *anyCall) serve(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	call := r.Method + " " + strings.TrimPrefix(r.URL.Path, openapi.Prefix)
	w.Header().Set("Content-Type", "application/json")
	s.mu.Lock()
	if call == "POST authApp" {
		s.tokens++
		fmt.Fprintf(w, `{"success":true,"data":{"appId":1,"token":"t%d"}}`, s.tokens)
		s.mu.Unlock()
		return
	}
	s.executed[call]++
	n := s.executed[call]
	s.mu.Unlock()
	if s.answer == nil || !s.answer(call, w) {
		fmt.Fprintf(w, `{"success":true,"data":%d}`, n)
	}
}

func (s *anyCall) wants(t *testing.T, call string, want int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if got := s.executed[call]; got != want {
		t.Errorf("the server got %s %d times, want %d", call, got, want)
	}
}

func logInRaw(t *testing.T, addr string, headers ...string) {
	t.Helper()
	if answer := raw(t, addr, request("POST", "/openApi/authApp", `{"appName":"app1"}`, append(headers, jsonLine)...)); statusOf(answer) != 200 {
		t.Fatalf("login: %q", answer)
	}
}

func withToken(call, token, body string) string {
	kind := formLine
	if strings.HasPrefix(body, "{") {
		kind = jsonLine
	}
	return request("POST", "/openApi/"+call, body, kind, openapi.AppIDHeader+": 1", openapi.TokenHeader+": "+token)
}

func TestACallThatIsNotKnownIsPaidForByItsOwnLogin(t *testing.T) {
	for _, call := range []string{"runJob2", "batchRunJob"} {
		up := newAnyCall(t)
		s := newShim(t, dedupSettings(t, up.url))
		logInRaw(t, s.addr)                                             // t1
		logInRaw(t, s.addr, openapi.TokenHeader+": t1")                 // the constructor's second
		raw(t, s.addr, withToken("copyJob", "t1", "jobId=1&appId=1"))   // its header arrives
		body := `{"appId":1,"jobId":1,"instanceParams":null,"delay":0}` // this one's is lost
		first := raw(t, s.addr, withToken(call, "t1", body))
		logInRaw(t, s.addr) // t3, hence
		again := raw(t, s.addr, withToken(call, "t3", body))
		wanted := raw(t, s.addr, withToken("copyJob", "t3", "jobId=1&appId=1"))

		up.wants(t, "POST "+call, 1)
		up.wants(t, "POST copyJob", 2)
		if got := decision(first) + " " + decision(again) + " " + decision(wanted); got != "forwarded replayed forwarded" {
			t.Errorf("%s: the answers say %s", call, got)
		}
		if bodyOf(again) != `{"success":true,"data":1}` {
			t.Errorf("%s: the re-send got %q", call, again)
		}
		label := call
		if _, ok := openapi.Lookup(call); !ok {
			label = "other"
		}
		if n := s.sum(t, "powerjob_shim_dedup_total", "call", label, "decision", "replayed"); n != 1 {
			t.Errorf("%s: %v replays counted for %s, want 1", call, n, label)
		}
		if n := s.sum(t, "powerjob_shim_resends_total", "call", label); n != 1 {
			t.Errorf("%s: %v re-sends counted for %s, want 1", call, n, label)
		}
	}
}

func TestTwoRunsOfOneJobByRunJob2AreTwo(t *testing.T) {
	up := newAnyCall(t)
	s := newShim(t, dedupSettings(t, up.url))
	for range 2 {
		raw(t, s.addr, withToken("runJob2", "t1", `{"appId":1,"jobId":1}`))
	}
	up.wants(t, "POST runJob2", 2)
}

func TestAReadThatIsNotKnownIsForwardedEachTimeAndExplainsALogin(t *testing.T) {
	up := newAnyCall(t)
	s := newShim(t, dedupSettings(t, up.url))
	logInRaw(t, s.addr)
	logInRaw(t, s.addr, openapi.TokenHeader+": t1")
	raw(t, s.addr, withToken("copyJob", "t1", "jobId=1"))
	raw(t, s.addr, withToken("fetchEverything", "t1", "jobId=1"))
	logInRaw(t, s.addr)
	again := raw(t, s.addr, withToken("fetchEverything", "t3", "jobId=1"))
	raw(t, s.addr, withToken("copyJob", "t3", "jobId=1"))
	up.wants(t, "POST fetchEverything", 2)
	up.wants(t, "POST copyJob", 2)
	if got := decision(again); got != "" {
		t.Errorf("a read's answer says %q: it is under no dedup rule", got)
	}
	if n := s.sum(t, "powerjob_shim_resends_total", "call", "other"); n != 1 {
		t.Errorf("%v re-sends counted, want 1", n)
	}
}

func TestPollingWhatDoesNotExistEndsNoBodyMatch(t *testing.T) {
	up := newAnyCall(t)
	up.answer = func(call string, w http.ResponseWriter) bool {
		if call == "POST listJobs" {
			w.WriteHeader(http.StatusNotFound)
			return true
		}
		return false
	}
	s := newShim(t, dedupSettings(t, up.url))
	for range 3 {
		raw(t, s.addr, save(saveBody(1, "A")))
		raw(t, s.addr, withToken("listJobs", "t1", "appId=1"))
	}
	up.wants(t, "POST saveJob", 1)
	up.wants(t, "POST listJobs", 3)
}

func TestOnlyPostsAreDeduplicated(t *testing.T) {
	const n = 4
	up := newAnyCall(t)
	var together sync.WaitGroup
	together.Add(n)
	up.answer = func(call string, _ http.ResponseWriter) bool {
		if call == "OPTIONS saveJob" {
			together.Done()
			together.Wait() // were one of them held back, the others would wait for ever
		}
		return false
	}
	s := newShim(t, dedupSettings(t, up.url))
	raw(t, s.addr, save(saveBody(1, "A")))
	var answers []<-chan string
	for range n {
		answers = append(answers, async(t, s.addr, request("OPTIONS", "/openApi/saveJob", "", "Origin: http://ui.test", "Access-Control-Request-Method: POST")))
	}
	for _, answer := range answers {
		if a := <-answer; statusOf(a) != 200 || decision(a) != "forwarded" {
			t.Errorf("a preflight got %q", a)
		}
	}
	for _, method := range []string{"GET", "HEAD", "PUT"} {
		for range 2 {
			raw(t, s.addr, request(method, "/openApi/saveJob", "", openapi.TokenHeader+": t1"))
		}
		up.wants(t, method+" saveJob", 2)
	}
	raw(t, s.addr, save(saveBody(1, "A"))) // nothing of this has changed the job
	up.wants(t, "OPTIONS saveJob", n)
	up.wants(t, "POST saveJob", 1)
}

func TestAnEventStreamIsPassedOnAtOnceForAsLongAsItsCallerStays(t *testing.T) {
	ended := make(chan struct{})
	up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		for event := 1; ; event++ {
			_, _ = fmt.Fprintf(w, "data: %d\n\n", event)
			_ = http.NewResponseController(w).Flush()
			if event > 1 {
				break
			}
			time.Sleep(2 * eventStreamTimeout) // a call's whole answer would have been cut off by now
		}
		<-r.Context().Done()
		close(ended)
	})
	settings := dedupSettings(t, up)
	u := settings.Upstreams["default"]
	u.Timeout = eventStreamTimeout
	settings.Upstreams["default"] = u
	s := newShim(t, settings)
	c := dial(t, s.addr)
	if _, err := io.WriteString(c, withToken("watchJobs", "t1", "appId=1")); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(patience))
	r := bufio.NewReader(c)
	for _, want := range []string{"data: 1\n", "data: 2\n"} {
		for line := ""; line != want; {
			var err error
			if line, err = r.ReadString('\n'); err != nil {
				t.Fatalf("waiting for %q: %v", want, err)
			}
		}
	}
	_ = c.Close()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("the server still sends events to nobody")
	}
}

// eventStreamTimeout is an upstream's timeout that is long enough for an answer
// to begin.
const eventStreamTimeout = 500 * time.Millisecond
