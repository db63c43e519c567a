package proxy

import (
	"strings"
	"testing"

	"powerjob-shim/internal/standin/client"
	"powerjob-shim/internal/standin/legacy"
	"powerjob-shim/proxy/exchange"
	"powerjob-shim/rules"
	"powerjob-shim/rules/openapi"
)

// run is the id of the stand-in's first instance.
const run = 700_000_000_000_000_001

// everyChange is at least one of every changing call, in an order in which all succeed
// on a server that has them all (legacy.Options.New).
var everyChange = []struct {
	name   string
	params client.Params
}{
	{"saveJob", client.Params{"jobName": "a"}},
	{"copyJob", client.Params{"jobId": 1}},
	{"disableJob", client.Params{"jobId": 1}},
	{"enableJob", client.Params{"jobId": 1}},
	{"runJob", client.Params{"jobId": 1, "instanceParams": "x", "delay": 0}},
	{"stopInstance", client.Params{"instanceId": run}},
	{"retryInstance", client.Params{"instanceId": run}},
	{"runJob", client.Params{"jobId": 1, "delay": 60000}},
	{"cancelInstance", client.Params{"instanceId": run + 1}},
	{"deleteJob", client.Params{"jobId": 2}},
	{"saveWorkflow", client.Params{"wfName": "w"}},
	{"copyWorkflow", client.Params{"workflowId": 1}},
	{"disableWorkflow", client.Params{"workflowId": 1}},
	{"enableWorkflow", client.Params{"workflowId": 1}},
	{"deleteWorkflow", client.Params{"workflowId": 2}},
	{"addWorkflowNode", client.Params{"nodes": []client.Params{{"workflowId": 1, "jobId": 1, "nodeName": "n"}}}},
	{"runWorkflow", client.Params{"workflowId": 1, "initParams": "i", "delay": 0}},
	{"stopWfInstance", client.Params{"wfInstanceId": run + 2}},
	{"markWorkflowNodeAsSuccess", client.Params{"wfInstanceId": run + 2, "nodeId": 1}},
	{"retryWfInstance", client.Params{"wfInstanceId": run + 2}},
	{"runJob2", client.Params{"jobId": 1, "instanceParams": "y", "delay": 0}},
}

func TestEveryChangeHasEveryChangingCallOfTheCatalogue(t *testing.T) {
	called := map[string]bool{}
	for _, c := range everyChange {
		called[c.name] = true
	}
	for _, c := range openapi.Calls() {
		if changes := c.Kind == openapi.Change; called[c.Name] != changes {
			t.Errorf("%s: called %v, want %v", c.Name, called[c.Name], changes)
		}
	}
}

func TestTheClientSavesTwiceDirectlyAndOnceThroughTheShim(t *testing.T) {
	const saves = 5
	for _, c := range []struct {
		name  string
		rules []rules.Rule // nil: no shim at all
		want  int
	}{
		{"directly", nil, 2 * saves},
		{"through a shim without rules", []rules.Rule{}, 2 * saves},
		{"with the header rule", []rules.Rule{authRule}, saves},
		{"with the dedup rule alone", []rules.Rule{saveRule}, saves},
		{"with the default rules", defaultRules, saves},
	} {
		t.Run(c.name, func(t *testing.T) {
			server, url := startLegacy(t, legacy.Options{})
			addr := strings.TrimPrefix(url, "http://")
			if c.rules != nil {
				settings := settingsFor(t, url)
				settings.Rules = compileRules(t, c.rules...)
				addr = newShim(t, settings).addr
			}
			user := logIn(t, addr)
			for i := range saves {
				must(t, user, "saveJob", client.Params{"jobName": "nightly", "priority": i})
			}
			wantExecuted(t, server, "saveJob", c.want)
			if n := len(server.State().Jobs); n != c.want {
				t.Errorf("the server has %d jobs, want %d", n, c.want)
			}
		})
	}
}

func TestEveryChangingCallIsExecutedOnceWhereAHopLosesTheHeader(t *testing.T) {
	want := legacy.New(legacy.Options{Mode: legacy.Patched, New: true})
	url, err := want.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = want.Close() })
	direct := logIn(t, strings.TrimPrefix(url, "http://"))

	s, server := newDedup(t, legacy.Options{New: true})
	user := logIn(t, lowercasing(t, s.addr))
	called := map[string]int{}
	for _, c := range everyChange {
		called[c.name]++
		a, b := must(t, direct, c.name, c.params), must(t, user, c.name, c.params)
		if string(a.Data) != string(b.Data) {
			t.Errorf("%s returned %s, from a patched server %s", c.name, b.Data, a.Data)
		}
	}
	for call, n := range called {
		wantExecuted(t, server, call, n)
		if got := s.sum(t, "powerjob_shim_dedup_total", "call", call, "decision", "replayed"); got != float64(n) {
			t.Errorf("%s: %v counted as replayed, want %d", call, got, n)
		}
		if got := s.sum(t, "powerjob_shim_dedup_total", "call", call, "decision", "forwarded"); got != float64(n) {
			t.Errorf("%s: %v counted as forwarded, want %d", call, got, n)
		}
		if got := s.sum(t, "powerjob_shim_resends_total", "call", call); got != float64(n) {
			t.Errorf("%s: %v re-sends counted, want %d", call, got, n)
		}
	}
	all := float64(len(everyChange))
	if n := s.sum(t, "powerjob_shim_logins_total", "kind", "refresh", "result", "ok"); n != all {
		t.Errorf("%v refreshes counted, want %v", n, all)
	}
	// The constructor asks authApp carrying its token, and once more after the
	// refresh that the missing header makes it do.
	if n := s.sum(t, "powerjob_shim_logins_total", "kind", "constructor", "result", "ok"); n != 2 {
		t.Errorf("%v logins of a constructor counted, want 2", n)
	}
	if n := s.logs.FilterMessageSnippet("repeats its calls").Len(); n != 1 {
		t.Errorf("%d warnings logged, want 1 for the only client address", n)
	}
}

func TestReSendsAreWarnedOfOncePerClientAddress(t *testing.T) {
	server, url := startLegacy(t, legacy.Options{})
	settings := dedupSettings(t, url)
	settings.TrustedProxies = loopback
	s := newShim(t, settings)
	hop := lowercasing(t, s.addr)
	for _, address := range []string{"192.0.2.1", "192.0.2.2"} {
		user, err := client.New(client.Config{Addresses: []string{hop}, AppName: "app1", Password: "pw", Transport: from{address}})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			must(t, user, "saveJob", client.Params{"jobName": address, "priority": i})
		}
	}
	wantExecuted(t, server, "saveJob", 6)
	warned := s.logs.FilterMessageSnippet("repeats its calls").All()
	if len(warned) != 2 {
		t.Fatalf("%d warnings logged, want 2", len(warned))
	}
	for i, address := range []string{"192.0.2.1", "192.0.2.2"} {
		if got := warned[i].ContextMap()[exchange.FieldClient]; got != address {
			t.Errorf("warning %d is about %v, want %s", i, got, address)
		}
	}
}

func TestWithTheHeaderIntactNoReSendIsSeen(t *testing.T) {
	s, server := newDedup(t, legacy.Options{New: true})
	user := logIn(t, s.addr)
	for _, c := range everyChange {
		must(t, user, c.name, c.params)
	}
	wantExecuted(t, server, "", len(everyChange))
	if got := server.Received(""); got != len(everyChange)+2 { // the constructor's two logins
		t.Errorf("the server got %d requests, want %d", got, len(everyChange)+2)
	}
	if n := s.sum(t, "powerjob_shim_resends_total"); n != 0 {
		t.Errorf("%v re-sends counted, want 0", n)
	}
	if n := s.sum(t, "powerjob_shim_logins_total", "kind", "refresh"); n != 0 {
		t.Errorf("%v refreshes counted, want 0", n)
	}
	if n := s.logs.FilterMessageSnippet("repeats its calls").Len(); n != 0 {
		t.Errorf("%d warnings logged, want none", n)
	}
}

func TestARefusedLoginIsCounted(t *testing.T) {
	s, _ := newDedup(t, legacy.Options{})
	_, err := client.New(client.Config{Addresses: []string{s.addr}, AppName: "app1", Password: "wrong"})
	if err == nil {
		t.Fatal("a client with a wrong password could log in")
	}
	if n := s.sum(t, "powerjob_shim_logins_total", "kind", "constructor", "result", "refused"); n != 1 {
		t.Errorf("%v refused logins counted, want 1", n)
	}
}

func TestADeliberateSecondRunIsExecuted(t *testing.T) {
	for _, hop := range []bool{false, true} {
		s, server := newDedup(t, legacy.Options{})
		addr := s.addr
		if hop {
			addr = lowercasing(t, addr)
		}
		user := logIn(t, addr)
		must(t, user, "saveJob", client.Params{"jobName": "a"})
		for range 3 {
			must(t, user, "runJob", client.Params{"jobId": 1, "delay": 0})
		}
		wantExecuted(t, server, "runJob", 3)
	}
}

func TestADeliberateSecondRunIsExecutedWhileTheFirstIsInFlight(t *testing.T) {
	g := newBarrier(t, "runJob")
	s, server := newDedup(t, legacy.Options{Fault: g.fault})
	raw(t, s.addr, save(saveBody(0, "a")))
	first, second := async(t, s.addr, form("runJob", "jobId=1&appId=1")), async(t, s.addr, form("runJob", "jobId=1&appId=1"))
	<-g.arrived
	<-g.arrived
	g.open()
	for _, answer := range []string{<-first, <-second} {
		if statusOf(answer) != 200 || decision(answer) != "forwarded" {
			t.Errorf("a caller got %q", answer)
		}
	}
	wantExecuted(t, server, "runJob", 2)
}

// An answer that has been written is delivered, however soon its caller closes
// the connection: the next equal call is no retry.
func TestACallerThatClosesAfterItsAnswerIsNotTakenForOneThatHungUp(t *testing.T) {
	const runs = 300
	s, server := newDedup(t, legacy.Options{})
	raw(t, s.addr, save(saveBody(0, "a")))
	keepAlive := strings.Replace(form("runJob", "jobId=1&appId=1"), "Connection: close\r\n", "", 1)
	for range runs {
		exchangeOnce(t, s.addr, keepAlive)
	}
	wantExecuted(t, server, "runJob", runs)
}

func TestWhatARepeatedSaveGets(t *testing.T) {
	server, url := startLegacy(t, legacy.Options{Fault: func(legacy.Request) legacy.Fault {
		return legacy.Fault{Header: map[string][]string{"Set-Cookie": {"a=b"}, "Date": {"Mon, 01 Jan 2024 00:00:00 GMT"}, "X-Other": {"o"}}}
	}})
	s := newShim(t, dedupSettings(t, url))
	first := raw(t, s.addr, save(saveBody(0, "a")))
	s.logLine(t, 0) // its line comes before the other's
	again := raw(t, s.addr, strings.Replace(save(saveBody(0, "a")), "\r\n\r\n", "\r\nX-Request-Id: mine\r\n\r\n", 1))
	wantExecuted(t, server, "saveJob", 1)
	a, body := parse(t, first)
	b, replayed := parse(t, again)
	if b.StatusCode != 200 || replayed != body || body == "" {
		t.Errorf("the repeated save got %d %q, want %d %q", b.StatusCode, replayed, a.StatusCode, body)
	}
	if b.Header.Get("Content-Type") != "application/json;charset=utf-8" {
		t.Errorf("the content type is %q", b.Header.Get("Content-Type"))
	}
	if a.Header.Get("Set-Cookie") != "a=b" || b.Header.Get("Set-Cookie") != "" || b.Header.Get("X-Other") != "o" {
		t.Errorf("the first got %q, the repeated one %q", a.Header, b.Header)
	}
	if date := b.Header.Get("Date"); date == "" || date == a.Header.Get("Date") {
		t.Errorf("the repeated save got the date %q of the first", date)
	}
	if a.Header.Get(exchange.RequestIDHeader) == "" || b.Header.Get(exchange.RequestIDHeader) != "mine" {
		t.Errorf("the request ids are %q and %q", a.Header.Get(exchange.RequestIDHeader), b.Header.Get(exchange.RequestIDHeader))
	}
	for i, answer := range []string{first, again} {
		if auth := lines(answer, authLine); len(auth) != 1 || auth[0] != "X-POWERJOB-AUTH-PASSED: true" {
			t.Errorf("answer %d carries %q", i, auth)
		}
	}
	for i, want := range []string{"forwarded", "replayed"} {
		answer := []string{first, again}[i]
		if decision(answer) != want {
			t.Errorf("answer %d says %q, want %q", i, decision(answer), want)
		}
		line := s.logLine(t, i)
		if line[exchange.FieldDecision] != want {
			t.Errorf("log line %d says %v, want %q", i, line[exchange.FieldDecision], want)
		}
		if n := s.sum(t, "powerjob_shim_dedup_total", "call", "saveJob", "decision", want); n != 1 {
			t.Errorf("%v counted as %s, want 1", n, want)
		}
	}
	if reason := s.logLine(t, 1)[exchange.FieldReason]; reason != "equal_body" {
		t.Errorf("the log's reason is %v, want equal_body", reason)
	}
	if _, asked := s.logLine(t, 1)[exchange.FieldUpstreamServer]; asked {
		t.Error("the log says that a server was asked for a replay")
	}
}

func TestTheIdempotencyKeyStaysHere(t *testing.T) {
	s, server := newDedup(t, legacy.Options{})
	raw(t, s.addr, strings.Replace(save(saveBody(0, "a")), "\r\n\r\n", "\r\nIdempotency-Key: k\r\nX-Idempotency-Key: k\r\n\r\n", 1))
	for _, r := range server.Requests() {
		if len(r.Header["Idempotency-Key"])+len(r.Header["X-Idempotency-Key"]) > 0 {
			t.Errorf("the server got %v", r.Header)
		}
	}
}

func TestACheckedServersAnswerIsReplayedOnlyToTokensOfThatApp(t *testing.T) {
	apps := []legacy.App{{ID: 1, Name: "app1", Password: "pw"}}
	s, server := newDedup(t, legacy.Options{Mode: legacy.CheckOn, Apps: apps})
	a, b := logIn(t, s.addr), logIn(t, s.addr)
	must(t, a, "saveJob", client.Params{"jobName": "a"})
	must(t, b, "saveJob", client.Params{"jobName": "a"}) // another token, seen issued to the app
	wantExecuted(t, server, "saveJob", 1)
	answer := raw(t, s.addr, saveWith("forged", `{"appId":1,"id":null,"jobName":"a"}`))
	if auth := lines(answer, authLine); len(auth) != 1 || auth[0] != "X-POWERJOB-AUTH-PASSED: false" || decision(answer) != "forwarded" {
		t.Errorf("a forged token got %q", answer)
	}
	wantExecuted(t, server, "saveJob", 1)
}
