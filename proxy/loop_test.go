package proxy

import (
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"powerjob-shim/internal/standin/client"
	"powerjob-shim/internal/standin/legacy"
	up "powerjob-shim/proxy/upstream"
	"powerjob-shim/rules/openapi"
)

// withoutHop is a request as a server gets it, with the shim's random id as x.
func withoutHop(request string) string {
	return regexp.MustCompile(`(powerjob-shim; id=)[0-9a-f]{16}`).ReplaceAllString(request, "${1}x")
}

// pointAt makes to the only server of s's group.
func (s *shim) pointAt(t testing.TB, settings Settings, to ...string) {
	t.Helper()
	u := settings.Upstreams["default"]
	u.Servers = nil
	for _, addr := range to {
		u.Servers = append(u.Servers, &url.URL{Scheme: "http", Host: addr})
	}
	settings.Upstreams = map[string]Upstream{"default": u}
	if err := s.Swap(settings); err != nil {
		t.Fatal(err)
	}
}

func TestARequestThatComesBackEndsThere(t *testing.T) {
	settings := dedupSettings(t, deadServer(t))
	a, b := newShim(t, settings), newShim(t, settings)
	for name, round := range map[string]struct {
		toA, toB string
		requests float64
	}{
		"to itself":       {a.addr, "", 2},
		"by another shim": {b.addr, a.addr, 3},
	} {
		a.pointAt(t, settings, round.toA)
		if round.toB != "" {
			b.pointAt(t, settings, round.toB)
		}
		for _, message := range []string{
			save(saveBody(0, name)), form("fetchAllJob", "appId=1"), form("runJob", "jobId=1"),
			request("GET", "/", ""), request("OPTIONS", "/", ""), request("GET", "/server/assert", "", "X-Forwarded-For: 1.2.3.4"),
			request("GET", "/", "", "CDN-Loop: a, b; c=d", "Connection: CDN-Loop"),
		} {
			before := a.sum(t, "powerjob_shim_requests_total") + b.sum(t, "powerjob_shim_requests_total")
			got := raw(t, a.addr, message)
			if statusOf(got) != http.StatusLoopDetected || !strings.Contains(got, "a server of upstream default leads back to this shim") ||
				!strings.Contains(got, `{"success":false,"data":null,"message":"powerjob-shim: `) || len(lines(got, authLine)) != 0 {
				t.Errorf("%s: %q got %q", name, message, got)
			}
			eventually(t, "all rounds are counted", func() bool {
				return a.sum(t, "powerjob_shim_requests_total")+b.sum(t, "powerjob_shim_requests_total")-before >= round.requests
			})
			if n := a.sum(t, "powerjob_shim_requests_total") + b.sum(t, "powerjob_shim_requests_total") - before; n != round.requests {
				t.Errorf("%s: %v requests, want %v", name, n, round.requests)
			}
		}
	}
}

func TestTwoGroupsOfOneShimMayCallEachOther(t *testing.T) {
	_, server := startLegacy(t, legacy.Options{})
	settings := dedupSettings(t, server)
	u := settings.Upstreams["default"]
	s := newShim(t, settings)
	front := u
	front.Servers = []*url.URL{{Scheme: "http", Host: s.addr}}
	settings.Upstreams = map[string]Upstream{"default": u, "front": front}
	settings.Routes = []Route{{Name: "f", Hosts: []string{"shim.test"}, Upstream: "front"}, {Name: "b", Hosts: []string{"other.test"}, Upstream: "default"}}
	if err := s.Swap(settings); err != nil {
		t.Fatal(err)
	}
	// Both have the same Host: the request goes to front again, and ends.
	if got := raw(t, s.addr, save(saveBody(0, "a"))); statusOf(got) != http.StatusLoopDetected || !strings.Contains(got, "upstream front") {
		t.Errorf("got %q", got)
	}
	settings.Routes = []Route{{Name: "f", Paths: []string{"/openApi/runJob"}, Upstream: "front"}, {Name: "b", Upstream: "default"}}
	if err := s.Swap(settings); err != nil {
		t.Fatal(err)
	}
	if got := raw(t, s.addr, save(saveBody(0, "b"))); statusOf(got) != 200 {
		t.Errorf("got %q", got)
	}
}

func TestAHopKeepsItsNameAcrossReloadsAndSharesItWithNobody(t *testing.T) {
	settings := dedupSettings(t, deadServer(t))
	a, b := mustProxy(t, settings), mustProxy(t, settings)
	before := a.snap.Load().Groups["default"].Hop[0]
	u := settings.Upstreams["default"]
	u.Timeout++
	settings.Upstreams = map[string]Upstream{"default": u, "other": u}
	settings.Routes = []Route{{Name: "r", Upstream: "default"}}
	if err := a.Swap(settings); err != nil {
		t.Fatal(err)
	}
	groups := a.snap.Load().Groups
	if groups["default"].Hop[0] != before || groups["other"].Hop[0] == before || b.snap.Load().Groups["default"].Hop[0] == before {
		t.Errorf("before %q, after %q, other group %q, other process %q", before, groups["default"].Hop, groups["other"].Hop, b.snap.Load().Groups["default"].Hop)
	}
}

func TestWhatARequestHasPassedIsKept(t *testing.T) {
	up := newRawServer(t, answerWith())
	s := newShim(t, dedupSettings(t, up.url))
	for _, target := range []string{"/", "/openApi/saveJob"} {
		raw(t, s.addr, request("POST", target, "{}", "CDN-Loop: foo123.foocdn.example, barcdn.example; trace=\"abcdef\"", "cdn-loop: AnotherCDN; abc=123"))
	}
	for _, got := range up.requests() {
		want := `Cdn-Loop: foo123.foocdn.example, barcdn.example; trace="abcdef", AnotherCDN; abc=123, powerjob-shim; id=x`
		if found := lines(withoutHop(got), "cdn-loop"); len(found) != 1 || found[0] != want {
			t.Errorf("the server got %q, want %q", found, want)
		}
	}
}

// Two shims in a row on purpose.
func TestTwoShimsInARowServe(t *testing.T) {
	server, url := startLegacy(t, legacy.Options{})
	inner := newShim(t, dedupSettings(t, url))
	outer := newShim(t, dedupSettings(t, "http://"+inner.addr))
	c := logIn(t, outer.addr)
	for i := range 3 {
		must(t, c, "saveJob", client.Params{"jobName": strconv.Itoa(i)})
	}
	wantExecuted(t, server, "saveJob", 3)
	if n := outer.sum(t, "powerjob_shim_unanswered_total") + inner.sum(t, "powerjob_shim_unanswered_total"); n != 0 {
		t.Errorf("%v unanswered", n)
	}
}

// The inner shim says that its server got nothing; the outer one believes it.
func TestACallThatTheShimBehindDidNotSendIsLeftUnansweredToo(t *testing.T) {
	inner := newShim(t, dedupSettings(t, deadServer(t)))
	outer := newShim(t, dedupSettings(t, "http://"+inner.addr))
	for i, message := range []string{
		save(saveBody(0, "a")), form("runJob", "jobId=1"), form("fetchAllJob", "appId=1"), request("POST", "/openApi/authApp", "{}", jsonLine),
		request("GET", "/server/assert", ""), request("POST", "/server/acquire", "{}"),
	} {
		if got := raw(t, outer.addr, message); got != "" {
			t.Errorf("%q got %q", message, got)
		}
		if a, b := outer.unansweredLine(t, i), inner.unansweredLine(t, i); a != "connect" || b != "connect" {
			t.Errorf("%q: the reasons are %v and %v", message, a, b)
		}
	}
	if got := raw(t, outer.addr, request("GET", "/", "")); statusOf(got) != 502 || decision(got) != "" {
		t.Errorf("a browser got %q", got)
	}
}

func TestAShimToldThatNothingWasSentTriesItsNextServer(t *testing.T) {
	server, url := startLegacy(t, legacy.Options{})
	raw(t, newShim(t, dedupSettings(t, url)).addr, save(saveBody(0, "a")))
	dead, alive := newShim(t, dedupSettings(t, deadServer(t))), newShim(t, dedupSettings(t, url))
	for range 10 { // which comes first is chance
		outer := newShim(t, dedupSettings(t, "http://"+dead.addr, "http://"+alive.addr))
		before := server.Executed("runJob")
		for _, message := range []string{form("fetchAllJob", "appId=1"), form("runJob", "jobId=1&appId=1")} {
			if got := raw(t, outer.addr, message); statusOf(got) != 200 {
				t.Fatalf("%q got %q", message, got)
			}
		}
		wantExecuted(t, server, "runJob", before+1)
	}
}

// Another shim gets the answer with its text, and the mark.
func TestAnotherShimIsToldInWords(t *testing.T) {
	s := newShim(t, dedupSettings(t, deadServer(t)))
	for i, extra := range [][]string{{"CDN-Loop: powerjob-shim; id=1"}, {"CDN-Loop: x, POWERJOB-SHIM"}, {"CDN-Loop: powerjob-shim;id=2;x", "X-Forwarded-For: 1.2.3.4", "Origin: http://ui"}} {
		got := raw(t, s.addr, request("POST", "/openApi/saveJob", "{}", extra...))
		if statusOf(got) != 502 || decision(got) != up.MarkUnanswered || !strings.Contains(got, "Nothing was sent") || len(lines(got, openapi.AuthHeader)) != 0 {
			t.Errorf("got %q", got)
		}
		if s.unansweredLine(t, i) != "connect" {
			t.Errorf("logged as %v", s.unansweredLine(t, i))
		}
	}
	if got := raw(t, s.addr, request("POST", "/openApi/saveJob", "{}", "CDN-Loop: powerjob-shims, x; y=powerjob-shim")); got != "" {
		t.Errorf("no shim's request got %q", got)
	}
}

// The mark of somebody who is no shim, or with an answer, says nothing.
func TestOnlyAnErrorIsBelievedToBeUnanswered(t *testing.T) {
	for answer, want := range map[string]int{
		"HTTP/1.1 200 OK\r\nX-Powerjob-Shim: unanswered\r\nContent-Length: 0\r\n\r\n":                      200,
		"HTTP/1.1 500 Oh\r\nX-Powerjob-Shim: unanswered\r\nContent-Length: 0\r\n\r\n":                      500,
		"HTTP/1.1 502 Bad Gateway\r\nX-Powerjob-Shim: unknown\r\nContent-Length: 0\r\n\r\n":                502,
		"HTTP/1.1 503 Oh\r\nx-powerjob-shim: unanswered\r\nContent-Length: 0\r\nConnection: close\r\n\r\n": 0,
	} {
		s := newShim(t, dedupSettings(t, newRawServer(t, answer).url))
		if got := raw(t, s.addr, save("{}")); statusOf(got) != want {
			t.Errorf("%q: the caller got %q", answer, got)
		}
	}
}
