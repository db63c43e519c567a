package proxy

import (
	"context"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"powerjob-shim/internal/standin/legacy"
	"powerjob-shim/proxy/exchange"
	"powerjob-shim/rules/openapi"
)

func TestEqualSavesAtOnceAreExecutedOnceAndAllGetTheAnswer(t *testing.T) {
	const callers = 200
	g := newBarrier(t, "saveJob")
	s, server := newDedup(t, legacy.Options{Fault: g.fault})
	var answers []<-chan string
	for range callers {
		answers = append(answers, async(t, s.addr, save(saveBody(0, "a"))))
	}
	s.inFlight(t, callers)
	g.open()
	for _, answer := range answers {
		if got := <-answer; statusOf(got) != 200 || !strings.Contains(bodyOf(got), `{"success":true,"data":1,"message":null}`) {
			t.Errorf("a caller got %q", got)
		}
	}
	wantExecuted(t, server, "saveJob", 1)
	for want, n := range map[string]float64{"forwarded": 1, "coalesced": callers - 1} {
		if got := s.sum(t, "powerjob_shim_dedup_total", "call", "saveJob", "decision", want); got != n {
			t.Errorf("%v counted as %s, want %v", got, want, n)
		}
	}
}

func TestTenThousandDifferentSavesAreAllExecuted(t *testing.T) {
	const callers, calls = 16, 625
	s, server := newDedup(t, legacy.Options{})
	onConnections(t, s.addr, callers, func(i int, ask asking) {
		for j := range calls {
			body := saveBody(0, strconv.Itoa(i*calls+j))
			answer, err := ask("POST /openApi/saveJob HTTP/1.1\r\nHost: a\r\n" + jsonLine + "\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
			if err != nil || decision(answer) != "forwarded" {
				t.Errorf("a caller got %q, %v", answer, err)
				return
			}
		}
	})()
	wantExecuted(t, server, "saveJob", callers*calls)
	if n := len(server.State().Jobs); n != callers*calls {
		t.Errorf("the server has %d jobs, want %d", n, callers*calls)
	}
}

// What the leader's answer is worth to those who wait for it, and to the next
// equal call.
func TestWhatThoseWhoWaitGet(t *testing.T) {
	const waiters = 3
	for _, c := range []struct {
		name     string
		mode     legacy.Mode
		body     string
		fault    legacy.Fault
		status   int
		text     string
		waiters  string // their decision
		leader   string
		received int // by the server, from the leader and those who wait
		executed int
	}{
		{
			name: "success", body: saveBody(0, "a"), status: 200, text: `"success":true,"data":1,`,
			leader: "forwarded", waiters: "coalesced", received: 1, executed: 1,
		},
		{
			name: "500 after executing", body: saveBody(0, "a"), fault: legacy.Fault{Status: 500}, status: 500, text: `"status":500`,
			leader: "forwarded", waiters: "coalesced", received: 1, executed: 1,
		},
		{
			name: "a business error", body: saveBody(99, "a"), status: 200, text: "can't find job by jobId: 99",
			leader: "forwarded", waiters: "coalesced", received: 1,
		},
		{
			name: "a refused token", mode: legacy.CheckOn, body: saveBody(0, "a"), status: 200, text: "INVALID_TOKEN",
			leader: "forwarded", waiters: "forwarded", received: 1 + waiters,
		},
		{
			name: "death after executing", body: saveBody(0, "a"), fault: legacy.Fault{Cut: legacy.CutBeforeStatus}, status: 504, text: "it may have been executed",
			leader: "unknown", waiters: "unknown", received: 1, executed: 1,
		},
		{
			name: "a reset in the header", body: saveBody(0, "a"), fault: legacy.Fault{Cut: legacy.CutInHeader, Reset: true}, status: 504, text: "it may have been executed",
			leader: "unknown", waiters: "unknown", received: 1, executed: 1,
		},
		{
			name: "a reset in the answer", body: saveBody(0, "a"), fault: legacy.Fault{Cut: legacy.CutInBody, Reset: true}, status: 504, text: "may have been executed",
			leader: "unknown", waiters: "unknown", received: 1, executed: 1,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newBarrier(t, "saveJob")
			var once sync.Once
			s, server := newDedup(t, legacy.Options{Mode: c.mode, Fault: func(r legacy.Request) (f legacy.Fault) {
				g.fault(r)
				once.Do(func() { f = c.fault })
				return f
			}})
			leader := async(t, s.addr, save(c.body))
			<-g.arrived
			var waiting []<-chan string
			for range waiters {
				waiting = append(waiting, async(t, s.addr, save(c.body)))
			}
			s.inFlight(t, 1+waiters)
			g.open()
			check := func(who, answer, want string) {
				if statusOf(answer) != c.status || !strings.Contains(bodyOf(answer), c.text) || decision(answer) != want {
					t.Errorf("%s got %q, want %d, %q, %q", who, answer, c.status, c.text, want)
				}
				if _, carried := strings.CutPrefix(strings.Join(lines(answer, authLine), "; "), "X-POWERJOB-AUTH-PASSED: "); carried != (c.status != 504) {
					t.Errorf("%s got the auth header: %v; %q", who, carried, answer)
				}
			}
			check("the leader", <-leader, c.leader)
			for _, w := range waiting {
				check("one who waited", <-w, c.waiters)
			}
			if n := server.Received("saveJob"); n != c.received {
				t.Errorf("the server got %d saves, want %d", n, c.received)
			}
			wantExecuted(t, server, "saveJob", c.executed)

			answer := raw(t, s.addr, save(c.body))
			want, received := "forwarded", c.received+1
			if c.name == "success" {
				want, received = "replayed", c.received
			}
			if got := decision(answer); got != want || server.Received("saveJob") != received {
				t.Errorf("the next save was %s and the server has got %d, want %s and %d", got, server.Received("saveJob"), want, received)
			}
		})
	}
}

func TestWhereNoConnectionIsHadNothingIsExecutedAndAllGet502(t *testing.T) {
	const callers = 4
	server, url := startLegacy(t, legacy.Options{})
	s := newShim(t, answering(dedupSettings(t, url)))
	calls := s.snap.Load().Groups["default"].Upstream.Connections
	connect, released, refusing := calls.Connect, make(chan struct{}), true
	calls.Connect = func(ctx context.Context, server string, wrap func(net.Conn) net.Conn) (net.Conn, error) {
		if refusing {
			<-released
			return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
		}
		return connect(ctx, server, wrap)
	}
	var answers []<-chan string
	for range callers {
		answers = append(answers, async(t, s.addr, save(saveBody(0, "a"))))
	}
	s.inFlight(t, callers)
	close(released)
	for _, answer := range answers {
		if got := <-answer; statusOf(got) != 502 || !strings.Contains(got, "cannot reach the PowerJob server") || len(lines(got, authLine)) != 0 {
			t.Errorf("a caller got %q", got)
		}
	}
	if n := server.Received(""); n != 0 {
		t.Errorf("the server got %d requests, want none", n)
	}
	s.inFlight(t, 0)
	refusing = false
	if got := raw(t, s.addr, save(saveBody(0, "a"))); statusOf(got) != 200 || decision(got) != "forwarded" {
		t.Errorf("the next save got %q", got)
	}
	wantExecuted(t, server, "saveJob", 1)
}

func TestOneWhoWaitsAndHangsUpHoldsNobodyUp(t *testing.T) {
	g := newBarrier(t, "saveJob")
	s, server := newDedup(t, legacy.Options{Fault: g.fault})
	leader := async(t, s.addr, save(saveBody(0, "a")))
	<-g.arrived
	c := dial(t, s.addr)
	_, _ = io.WriteString(c, save(saveBody(0, "a")))
	s.inFlight(t, 2)
	_ = c.Close()
	s.inFlight(t, 1)
	if line := s.logLine(t, 0); line[exchange.FieldStatus] != int64(hungUpStatus) {
		t.Errorf("the log says %v", line)
	}
	g.open()
	if got := <-leader; statusOf(got) != 200 {
		t.Errorf("the leader got %q", got)
	}
	wantExecuted(t, server, "saveJob", 1)
}

// A panic further in must not leave anybody waiting, nor the call wedged.
func TestAPanicWakesThoseWhoWait(t *testing.T) {
	s, server := newDedup(t, legacy.Options{})
	arrived, released := make(chan struct{}), make(chan struct{})
	calls := s.snap.Load().Groups["default"].Upstream.Connections
	connect := calls.Connect
	calls.Connect = func(context.Context, string, func(net.Conn) net.Conn) (net.Conn, error) {
		close(arrived)
		<-released
		panic("a fault")
	}
	leader := async(t, s.addr, save(saveBody(0, "a")))
	<-arrived
	waiter := async(t, s.addr, save(saveBody(0, "a")))
	s.inFlight(t, 2)
	close(released)
	if got := <-leader; statusOf(got) != 500 {
		t.Errorf("the leader got %q", got)
	}
	if got := <-waiter; statusOf(got) != 504 || decision(got) != "unknown" {
		t.Errorf("the one who waited got %q", got)
	}
	s.inFlight(t, 0)
	calls.Connect = connect
	if got := raw(t, s.addr, save(saveBody(0, "a"))); decision(got) != "forwarded" {
		t.Errorf("the next save got %q", got)
	}
	wantExecuted(t, server, "saveJob", 1)
}

func TestCallsBeyondTheBoundOfThoseInFlightAreForwardedAndCounted(t *testing.T) {
	g := newBarrier(t, "saveJob")
	server, url := startLegacy(t, legacy.Options{Fault: g.fault})
	settings := dedupSettings(t, url)
	settings.Dedup.Limits.InFlight = 1
	s := newShim(t, settings)
	first := async(t, s.addr, save(saveBody(0, "a")))
	<-g.arrived
	second := async(t, s.addr, save(saveBody(0, "a")))
	<-g.arrived
	g.open()
	if got := decision(<-first); got != "forwarded" {
		t.Errorf("the first was %s", got)
	}
	if got := decision(<-second); got != "bypassed" {
		t.Errorf("the second was %s", got)
	}
	if n := s.sum(t, "powerjob_shim_dedup_bypassed_total", "reason", "too_many_in_flight"); n != 1 {
		t.Errorf("%v bypassed counted, want 1", n)
	}
	wantExecuted(t, server, "saveJob", 2)
}

func TestTheOldestRecordGoesFirstAndIsCounted(t *testing.T) {
	server, url := startLegacy(t, legacy.Options{})
	settings := dedupSettings(t, url)
	settings.Dedup.Limits.Entries = 3 // two saves and the token
	s := newShim(t, settings)
	for _, name := range []string{"a", "b", "c"} {
		raw(t, s.addr, save(saveBody(0, name)))
	}
	if n := s.sum(t, "powerjob_shim_dedup_evicted_before_expiry_total"); n == 0 {
		t.Error("no eviction is counted")
	}
	if got := decision(raw(t, s.addr, save(saveBody(0, "c")))); got != "replayed" {
		t.Errorf("the newest save was %s", got)
	}
	if got := decision(raw(t, s.addr, save(saveBody(0, "a")))); got != "forwarded" {
		t.Errorf("the oldest save was %s", got)
	}
	wantExecuted(t, server, "saveJob", 4)
}

func TestACallOnAnotherSubjectMatchesNothing(t *testing.T) {
	s, server := newDedup(t, legacy.Options{})
	raw(t, s.addr, save(saveBody(0, "a")))
	for _, other := range []string{
		save(saveBody(0, "b")),
		strings.Replace(save(saveBody(0, "a")), openapi.AppIDHeader+": 1", openapi.AppIDHeader+": 2", 1),
		strings.Replace(save(saveBody(0, "a")), "/openApi/saveJob", "/openApi/saveJob?x=y", 1),
		strings.Replace(save(saveBody(0, "a")), jsonLine, jsonLine+";charset=utf-8", 1),
	} {
		if got := decision(raw(t, s.addr, other)); got != "forwarded" {
			t.Errorf("%q was %s", other, got)
		}
	}
	wantExecuted(t, server, "saveJob", 5)
}
