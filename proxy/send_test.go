package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"powerjob-shim/internal/tcpfaults"
	"powerjob-shim/rules/openapi"
)

// cutting is a server that ends the first so many connections once it has a
// request, and answers on all others.
type cutting struct {
	url  string
	mu   sync.Mutex
	left int
	got  []string // request lines and bodies
}

func newCutting(t *testing.T, times int) *cutting {
	t.Helper()
	s := &cutting{left: times}
	s.url = "http://" + tcpfaults.Serve(t, func(c net.Conn) {
		defer func() { _ = c.Close() }()
		r := bufio.NewReader(c)
		for {
			req, err := readRaw(r)
			if err != nil {
				return
			}
			s.mu.Lock()
			line, _, _ := strings.Cut(req, " HTTP/1.1\r\n")
			s.got = append(s.got, line+" "+bodyOf(req))
			s.left--
			cut := s.left >= 0
			s.mu.Unlock()
			if cut {
				return
			}
			_, _ = io.WriteString(c, answerWith())
		}
	})
	return s
}

func (s *cutting) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.got...)
}

func TestACallThatChangesNothingIsSentAgainOnceWhereTheServerBrokeOff(t *testing.T) {
	for _, name := range openapi.Names() {
		call, _ := openapi.Lookup(name)
		for cuts, wantStatus := range map[int]int{1: 200, 2: 0} {
			up := newCutting(t, cuts)
			s := newShim(t, dedupSettings(t, up.url))
			answer := raw(t, s.addr, request("POST", "/openApi/"+name, "jobId=1", "Content-Type: application/x-www-form-urlencoded"))
			want := []string{"POST /openApi/" + name + " jobId=1"}
			if call.Kind == openapi.Change {
				wantStatus = 504
			} else {
				want = append(want, want[0])
			}
			if got := up.requests(); strings.Join(got, "; ") != strings.Join(want, "; ") || statusOf(answer) != wantStatus {
				t.Errorf("%s, cut %d times: the server got %q and the caller %d, want %q and %d", name, cuts, got, statusOf(answer), want, wantStatus)
			}
			if n := s.sum(t, "powerjob_shim_upstream_requests_total", "call", name); int(n) != len(want) {
				t.Errorf("%s: %v requests counted, want %d", name, n, len(want))
			}
			if cut := wantStatus == 0; cut != (answer == "") || cut != (s.sum(t, "powerjob_shim_unanswered_total", "reason", "no_answer") == 1) {
				t.Errorf("%s, cut %d times: the caller got %q", name, cuts, answer)
			}
			if told := strings.Contains(answer, "may have been executed"); told != (call.Kind == openapi.Change) {
				t.Errorf("%s: the caller got %q", name, bodyOf(answer))
			}
		}
	}
}

func TestACallIsSentAgainToTheServerThatIsLeft(t *testing.T) {
	for range 10 { // which of the two comes first is chance
		stopping, other := newCutting(t, 1000), newCutting(t, 0)
		s := newShim(t, dedupSettings(t, stopping.url, other.url))
		if answer := raw(t, s.addr, request("POST", "/openApi/fetchAllJob", "appId=1")); statusOf(answer) != 200 {
			t.Fatalf("the caller got %q", answer)
		}
		if n := len(other.requests()); n != 1 {
			t.Errorf("the other server got %d requests, want 1", n)
		}
	}
}

// The server that broke off is the last hope where the others are away.
func TestACallIsSentAgainToTheSameServerWhereTheOthersAreAway(t *testing.T) {
	for range 10 {
		up := newCutting(t, 1)
		settings := dedupSettings(t, up.url, deadServer(t), deadServer(t))
		u := settings.Upstreams["default"]
		u.MaxConnections = 1
		settings.Upstreams["default"] = u
		s := newShim(t, settings)
		if answer := raw(t, s.addr, request("POST", "/openApi/fetchAllJob", "appId=1")); statusOf(answer) != 200 {
			t.Fatalf("the caller got %q", answer)
		}
	}
}

func TestWhatIsStreamedIsNeverSentAgain(t *testing.T) {
	up := newCutting(t, 1)
	settings := answering(dedupSettings(t, up.url))
	settings.Dedup.MaxBody = 8
	s := newShim(t, settings)
	if answer := raw(t, s.addr, request("POST", "/openApi/queryJob", `{"appIdEq":1}`)); statusOf(answer) != 502 || len(up.requests()) != 1 {
		t.Errorf("the caller got %q, and the server %q", answer, up.requests())
	}
}

// The web UI runs jobs by GET.
func TestAGetThatIsNoCallIsNotSentAgainOnANewConnection(t *testing.T) {
	up := newCutting(t, 1)
	s := newShim(t, dedupSettings(t, up.url))
	if answer := raw(t, s.addr, request("GET", "/job/run?appId=1&jobId=1", "")); statusOf(answer) != 502 || len(up.requests()) != 1 {
		t.Errorf("the caller got %q, and the server %q", answer, up.requests())
	}
}

func TestACallThatIsLateIsNotSentAgain(t *testing.T) {
	var mu sync.Mutex
	arrived := 0
	url := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		arrived++
		mu.Unlock()
		_, _ = io.Copy(io.Discard, r.Body) // else the server does not see the end
		<-r.Context().Done()
	})
	settings := answering(dedupSettings(t, url))
	u := settings.Upstreams["default"]
	u.Timeout = 50 * time.Millisecond
	settings.Upstreams["default"] = u
	s := newShim(t, settings)
	answer := raw(t, s.addr, request("POST", "/openApi/fetchAllJob", "appId=1"))
	mu.Lock()
	defer mu.Unlock()
	if statusOf(answer) != 504 || arrived != 1 {
		t.Errorf("the caller got %q, and the server %d requests", answer, arrived)
	}
}
