package proxy

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"powerjob-shim/proxy/exchange"
	up "powerjob-shim/proxy/upstream"
)

// unansweredLine waits for the log line of the n-th request and returns its
// reason.
func (s *shim) unansweredLine(t testing.TB, n int) any {
	t.Helper()
	return s.logLine(t, n)[exchange.FieldUnanswered]
}

func TestAMachineClientWhoseServerIsDownGetsNoAnswer(t *testing.T) {
	for message, closed := range map[string]bool{
		request("POST", "/openApi/saveJob", "{}"):                                          true,
		request("POST", "/openApi/authApp", "{}"):                                          true,
		request("POST", "/openApi/assert", "appName=a"):                                    true,
		request("POST", "/openApi/fetchAllJob", "appId=1"):                                 true,
		request("POST", "/openApi/nobodyKnows", "{}"):                                      true,
		request("GET", "/openApi/saveJob", ""):                                             true,
		request("GET", "/server/assert?appName=a", ""):                                     true,
		request("POST", "/server/acquire", "{}"):                                           true,
		request("HEAD", "/server/acquire", ""):                                             true,
		request("OPTIONS", "/openApi/saveJob", ""):                                         false,
		request("OPTIONS", "/server/assert", ""):                                           false,
		request("POST", "/openApi/saveJob", "{}", "Origin: http://ui"):                     false,
		request("POST", "/openApi/saveJob", "{}", "Origin:"):                               false,
		request("POST", "/openApi/saveJob", "{}", "Forwarded: for=1.2.3.4"):                false,
		request("POST", "/openApi/saveJob", "{}", "X-Forwarded-For: 1.2.3.4"):              false,
		request("GET", "/server/assert", "", "x-forwarded-for: 1.2.3.4"):                   false,
		request("GET", "/", ""):                                                            false,
		request("POST", "/job/save", "{}"):                                                 false,
		request("GET", "/servers/x", ""):                                                   false,
		request("GET", "/x/server/assert", ""):                                             false,
		"POST /openApi/saveJob HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}":                    true,
		"POST /openApi/saveJob HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}":         true,
		"POST http://a/openApi/saveJob HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}": true,
	} {
		s := newShim(t, dedupSettings(t, deadServer(t)))
		got := raw(t, s.addr, message)
		if closed != (got == "") || !closed && statusOf(got) != http.StatusBadGateway {
			t.Errorf("%q got %q; closed is %v", message, got, closed)
		}
		want, n := any(nil), 0.0
		if closed {
			want, n = "connect", 1
		}
		if line := s.logLine(t, 0); line[exchange.FieldUnanswered] != want || line[exchange.FieldStatus] != int64(http.StatusBadGateway) {
			t.Errorf("%q: logged as %v", message, line)
		}
		if sum := s.sum(t, "powerjob_shim_unanswered_total", "route", "default", "reason", "connect"); sum != n {
			t.Errorf("%q: counted %v times", message, sum)
		}
	}
}

func TestCallersAreAnsweredWhereTheOperatorWantsIt(t *testing.T) {
	s := newShim(t, answering(dedupSettings(t, deadServer(t))))
	for i, message := range []string{save(saveBody(0, "a")), form("fetchAllJob", "appId=1"), request("GET", "/server/assert", "")} {
		if got := raw(t, s.addr, message); statusOf(got) != 502 || decision(got) == up.MarkUnanswered || s.unansweredLine(t, i) != nil {
			t.Errorf("%q got %q", message, got)
		}
	}
	if n := s.sum(t, "powerjob_shim_unanswered_total"); n != 0 {
		t.Errorf("%v counted", n)
	}
}

func TestAWorkerUnderAContextPathGetsNoAnswer(t *testing.T) {
	settings := dedupSettings(t, deadServer(t))
	u := settings.Upstreams["default"]
	u.OpenAPIPrefix = "/pj/openApi"
	settings.Upstreams["default"] = u
	s := newShim(t, settings)
	for _, path := range []string{"/pj/server/assert", "/pj/openApi/fetchAllJob", "/pj;v=1/server/assert"} {
		if got := raw(t, s.addr, request("GET", path, "")); got != "" {
			t.Errorf("%s got %q", path, got)
		}
	}
	if got := raw(t, s.addr, request("GET", "/server/assert", "")); statusOf(got) != 502 {
		t.Errorf("outside of it got %q", got)
	}
}

// What says that nothing was sent closes the connection; what says that a call
// may have been executed never does.
func TestOnlyWhatMaySafelyBeSentAgainIsLeftUnanswered(t *testing.T) {
	for _, c := range []struct {
		message string
		closed  bool
	}{
		{save(saveBody(0, "a")), false},
		{form("runJob", "jobId=1"), false},
		{form("nobodyKnows", "jobId=1"), false},
		{request("POST", "/server/acquire", "{}"), false},
		{form("fetchAllJob", "appId=1"), true},
		{form("queryJob", "appId=1"), true},
		{request("POST", "/openApi/authApp", "{}", jsonLine), true},
		{request("POST", "/openApi/assert", "appName=a", formLine), true},
		{request("GET", "/server/acquire?appId=1", ""), true},
		{request("GET", "/", ""), false},
	} {
		up := newCutting(t, 1000)
		s := newShim(t, dedupSettings(t, up.url))
		got := raw(t, s.addr, c.message)
		if c.closed != (got == "") || !c.closed && statusOf(got) != 502 && statusOf(got) != 504 {
			t.Errorf("%q got %q", c.message, got)
		}
		if len(up.requests()) == 0 {
			t.Errorf("%q never reached the server", c.message)
		}
		want := any(nil)
		if c.closed {
			want = "no_answer"
		}
		if reason := s.unansweredLine(t, 0); reason != want {
			t.Errorf("%q: the reason is %v", c.message, reason)
		}
	}
}

func TestTheReasonTellsWhyNothingWasSent(t *testing.T) {
	t.Run("unhealthy", func(t *testing.T) {
		s := newShim(t, checked(t, true, deadServer(t)))
		eventually(t, "all are down", s.snap.Load().Groups["default"].Upstream.AllDown)
		if got := raw(t, s.addr, save("{}")); got != "" || s.unansweredLine(t, 0) != "unhealthy" {
			t.Errorf("got %q, for %v", got, s.unansweredLine(t, 0))
		}
	})
	for reason, bound := range map[string]func(*Upstream){
		"max_requests":    func(u *Upstream) { u.MaxRequests = 1 },
		"max_connections": func(u *Upstream) { u.MaxConnections = 1 },
	} {
		t.Run(reason, func(t *testing.T) {
			url, arrived, release := busy(t)
			settings := dedupSettings(t, url)
			u := settings.Upstreams["default"]
			bound(&u)
			settings.Upstreams["default"] = u
			s := newShim(t, settings)
			first := async(t, s.addr, request("GET", "/slow", ""))
			<-arrived
			if got := raw(t, s.addr, save("{}")); got != "" || s.unansweredLine(t, 0) != reason {
				t.Errorf("got %q, for %v", got, s.unansweredLine(t, 0))
			}
			if got := raw(t, s.addr, request("GET", "/", "")); statusOf(got) != 503 {
				t.Errorf("a browser got %q", got)
			}
			release()
			<-first
		})
	}
}

func TestWaitersAreLeftUnansweredLikeTheirLeader(t *testing.T) {
	const callers = 4
	s := newShim(t, dedupSettings(t, deadServer(t)))
	released := blockDials(s)
	answers := make([]<-chan string, callers)
	for i := range answers {
		answers[i] = async(t, s.addr, save(saveBody(0, "a")))
	}
	s.inFlight(t, callers)
	close(released)
	for _, answer := range answers {
		if got := <-answer; got != "" {
			t.Errorf("a caller got %q", got)
		}
	}
	if n := s.sum(t, "powerjob_shim_unanswered_total", "reason", "connect"); n != callers {
		t.Errorf("%v counted, want %d", n, callers)
	}
}

func TestEachRoutesReasonsAreCountedFromTheStart(t *testing.T) {
	settings := dedupSettings(t, deadServer(t))
	settings.Routes = []Route{{Name: "one", Upstream: "default"}}
	s := newShim(t, settings)
	settings.Routes = append(settings.Routes[:1:1], Route{Name: "two", Upstream: "default", Hosts: []string{"two.test"}})
	if err := s.Swap(settings); err != nil {
		t.Fatal(err)
	}
	families, err := s.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "powerjob_shim_unanswered_total" {
				got[m.GetLabel()[1].GetValue()+" "+m.GetLabel()[0].GetValue()]++
			}
		}
	}
	for _, route := range []string{"one", "two"} {
		for _, reason := range []string{"connect", "unhealthy", "max_requests", "max_connections", "stopping", "caller_gone"} {
			if got[route+" "+reason] != 1 {
				t.Errorf("%s %s is missing", route, reason)
			}
		}
	}
}

// Requests of one connection, one behind the other: the first is answered.
func TestAPipelinedRequestThatIsLeftUnansweredTakesNoAnswerAway(t *testing.T) {
	var down bool
	arrived, release := make(chan struct{}), make(chan struct{})
	url := upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		_, _ = io.WriteString(w, okBody)
	})
	settings := dedupSettings(t, url)
	s := newShim(t, settings)
	c := dial(t, s.addr)
	_, _ = io.WriteString(c, "GET /server/acquire HTTP/1.1\r\nHost: a\r\n\r\n"+save("{}")+request("GET", "/", ""))
	<-arrived
	down = true
	if err := s.Swap(dedupSettings(t, deadServer(t))); err != nil {
		t.Fatal(err)
	}
	close(release)
	_ = c.SetReadDeadline(time.Now().Add(patience))
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != okBody {
		t.Errorf("the first request got %q, %v", body, err)
	}
	if rest, _ := io.ReadAll(r); len(rest) > 0 || !down {
		t.Errorf("behind it came %q", rest)
	}
}

// blockDials holds each connection to a server back until the channel is closed.
func blockDials(s *shim) (released chan struct{}) {
	g := s.snap.Load().Groups["default"]
	released = make(chan struct{})
	hold := func(ctx context.Context) error {
		select {
		case <-released:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	connect := g.Upstream.Connections.Connect
	g.Upstream.Connections.Connect = func(ctx context.Context, server string, wrap func(net.Conn) net.Conn) (net.Conn, error) {
		if err := hold(ctx); err != nil {
			return nil, err
		}
		return connect(ctx, server, wrap)
	}
	return released
}

// A call that is not sent while its shim stops goes to the next one.
func TestWhileItStopsACallThatWasNotSentIsLeftUnanswered(t *testing.T) {
	settings := dedupSettings(t, deadServer(t))
	settings.Shutdown.Grace = time.Nanosecond
	s := newShim(t, settings)
	released := blockDials(s)
	t.Cleanup(func() { close(released) })
	answer := async(t, s.addr, save(saveBody(0, "a")))
	s.inFlight(t, 1)
	s.stop()
	if got := <-answer; got != "" || s.unansweredLine(t, 0) != "stopping" {
		t.Errorf("got %q, for %v", got, s.unansweredLine(t, 0))
	}
}

func TestErrorsThatAreNotTheServersAreAlwaysAnswered(t *testing.T) {
	settings := dedupSettings(t, deadServer(t))
	settings.MaxBody = 100
	settings.Routes = []Route{{Name: "one", Hosts: []string{"shim.test"}, Upstream: "default"}}
	s := newShim(t, settings)
	for message, status := range map[string]int{
		request("POST", "/openApi//saveJob", "{}"):                               400,
		request("POST", "/openApi/saveJob", strings.Repeat("x", 101)):            413,
		"POST /openApi/saveJob HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n": 404,
		"CONNECT /openApi/saveJob HTTP/1.1\r\nHost: shim.test\r\n\r\n":           405,
		"PRI * HTTP/2.0\r\n\r\n":                                                 505,
	} {
		if got := raw(t, s.addr, message); statusOf(got) != status {
			t.Errorf("%q got %q, want %d", message, got, status)
		}
	}
}

// Bodies that are not held, or never come, and a listener with TLS.
func TestRequestsOfEachShapeAreLeftUnanswered(t *testing.T) {
	settings := dedupSettings(t, deadServer(t))
	settings.Dedup.MaxBody = 1 << 10
	s := newShim(t, settings)
	https, _ := listenTLS(t, s.Proxy, nil, nil)
	large := strings.Repeat("x", 2<<20)
	for i, message := range []string{
		save(large),
		request("POST", "/openApi/nobodyKnows", large),
		request("POST", "/server/upload", large),
		"POST /server/upload HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n",
		"POST /openApi/fetchAllJob HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
		"POST /openApi/saveJob HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2000\r\n\r\n" + large[:2000],
	} {
		began := time.Now()
		if got := raw(t, s.addr, message); strings.TrimPrefix(got, "HTTP/1.1 100 Continue\r\n\r\n") != "" {
			t.Errorf("%.60q got %q", message, got)
		}
		if took := time.Since(began); took > patience {
			t.Errorf("%.60q took %v", message, took)
		}
		if reason := s.unansweredLine(t, i); reason != "connect" {
			t.Errorf("%.60q: the reason is %v", message, reason)
		}
	}
	if got := rawTLS(t, https, save("{}")); got != "" {
		t.Errorf("over TLS the caller got %q", got)
	}
}

func TestALoginThatTheBridgeCannotMakeIsLeftUnanswered(t *testing.T) {
	s := newShim(t, bridged(dedupSettings(t, deadServer(t)), bridgeOf("pw")))
	if got := raw(t, s.addr, loginRequest("app1", "pw")); got != "" || s.unansweredLine(t, 0) != "connect" {
		t.Errorf("without a server: %q, %v", got, s.unansweredLine(t, 0))
	}
	s = newShim(t, bridged(dedupSettings(t, newCutting(t, 1000).url), bridgeOf("pw")))
	if got := raw(t, s.addr, loginRequest("app1", "pw")); got != "" || s.unansweredLine(t, 0) != "no_answer" {
		t.Errorf("with one that cuts: %q, %v", got, s.unansweredLine(t, 0))
	}
}
