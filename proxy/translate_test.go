package proxy

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"powerjob-shim/internal/standin/legacy"
	"powerjob-shim/proxy/exchange"
	"powerjob-shim/proxy/routing"
	up "powerjob-shim/proxy/upstream"
	"powerjob-shim/rules"
	"powerjob-shim/rules/openapi"
)

// compat sets what becomes of runJob2 in the settings' only group.
func compat(s Settings, c Compat) Settings {
	u := s.Upstreams["default"]
	u.RunJob2 = c
	s.Upstreams = map[string]Upstream{"default": u}
	return s
}

// run2 is a runJob2 for app 1, with the token t1 and some fields more.
func run2(job int64, more string) string {
	return request("POST", "/openApi/runJob2", fmt.Sprintf(`{"appId":1,"jobId":%d%s}`, job, more),
		jsonLine, openapi.AppIDHeader+": 1", openapi.TokenHeader+": t1")
}

// makeJob saves a job and returns its id.
func makeJob(t *testing.T, addr string) int64 {
	t.Helper()
	return dataOf(t, raw(t, addr, save(saveBody(0, "nightly"))))
}

// dataOf returns the id in an answer that must tell of success.
func dataOf(t *testing.T, answer string) int64 {
	t.Helper()
	_, body := parse(t, answer)
	var e struct {
		Success bool
		Data    int64
	}
	if err := json.Unmarshal([]byte(body), &e); err != nil || !e.Success {
		t.Fatalf("the client got %q", answer)
	}
	return e.Data
}

// calls counts the requests that a server got, by call.
func calls(s *legacy.Server) string {
	return fmt.Sprintf("runJob2 %d, runJob %d", s.Received("runJob2"), s.Received("runJob"))
}

func TestARunJob2IsSentAsRunJobToAServerThatLacksIt(t *testing.T) {
	for _, prefix := range []string{"", "/pj"} {
		server, base := startLegacy(t, legacy.Options{Prefix: prefix})
		s := newShim(t, prefixed(dedupSettings(t, strings.TrimSuffix(base, prefix)), prefix))
		job := makeJob(t, s.addr)

		// The query is no part of a runJob2: it must not name another job now.
		got := raw(t, s.addr, strings.Replace(run2(job, `,"instanceParams":"a&b=ü","delay":60000,"outerKey":null`), "/runJob2", "/runJob2?jobId=99&appId=2", 1))
		first := dataOf(t, got)
		if decision(got) != string(rules.Forwarded) || lines(got, "X-POWERJOB-AUTH-PASSED") == nil {
			t.Errorf("the client got %q", got)
		}
		if got := calls(server); got != "runJob2 1, runJob 1" {
			t.Errorf("the server got %s", got)
		}
		if second := dataOf(t, raw(t, s.addr, run2(job, ""))); second == first {
			t.Error("two calls got one instance")
		}
		if got := calls(server); got != "runJob2 1, runJob 2" {
			t.Errorf("the server got %s: the second call should take one request", got)
		}
		wantExecuted(t, server, "runJob", 2)
		var forms []string
		for _, q := range server.Requests() {
			if q.Call == "runJob" {
				forms = append(forms, q.URI+" "+q.Header.Get("Content-Type")+" "+string(q.Body)+" "+q.AppID)
			}
		}
		want := prefix + "/openApi/runJob application/x-www-form-urlencoded "
		if forms[0] != want+fmt.Sprintf("appId=1&delay=60000&instanceParams=a%%26b%%3D%%C3%%BC&jobId=%d 1", job) || forms[1] != want+fmt.Sprintf("appId=1&jobId=%d 1", job) {
			t.Errorf("the server got %q", forms)
		}
		if got := s.sum(t, "powerjob_shim_translated_total", "call", "runJob2"); got != 2 {
			t.Errorf("%v calls were counted as translated", got)
		}
		if got := s.sum(t, "powerjob_shim_dedup_total", "call", "runJob2", "decision", "forwarded"); got != 2 {
			t.Errorf("%v calls were counted as forwarded", got)
		}
		if line := s.logLine(t, 2); line[exchange.FieldCall] != "runJob2" || line[exchange.FieldTranslated] != "runJob" {
			t.Errorf("logged %v", line)
		}
		if got := raw(t, s.admin, "GET /status HTTP/1.0\r\n\r\n"); !strings.Contains(got, `"lacks": [`) {
			t.Errorf("/status says %q", got)
		}
	}
}

func TestAServerThatHasRunJob2GetsItAsItCame(t *testing.T) {
	server, url := startLegacy(t, legacy.Options{New: true})
	s := newShim(t, dedupSettings(t, url))
	dataOf(t, raw(t, s.addr, run2(makeJob(t, s.addr), `,"outerKey":"k"`)))
	if got := calls(server); got != "runJob2 1, runJob 0" {
		t.Errorf("the server got %s", got)
	}
	if got := raw(t, s.admin, "GET /status HTTP/1.0\r\n\r\n"); strings.Contains(got, "lacks") {
		t.Errorf("/status says %q", got)
	}
	if got := s.sum(t, "powerjob_shim_translated_total"); got != 0 {
		t.Errorf("%v calls were counted as translated", got)
	}
}

// The key, the mark and the record are those of the call as it came.
func TestTheReSendOfATranslatedCallIsRecognised(t *testing.T) {
	server, url := startLegacy(t, legacy.Options{})
	s := newShim(t, dedupSettings(t, url))
	job := makeJob(t, s.addr)
	login := func() string {
		_, body := parse(t, raw(t, s.addr, request("POST", "/openApi/authApp",
			`{"appName":"app1","encryptedPassword":"8fe4c11451281c094a6578e6ddbf5eed","encryptType":"md5"}`, jsonLine)))
		var e struct{ Data struct{ Token string } }
		if err := json.Unmarshal([]byte(body), &e); err != nil || e.Data.Token == "" {
			t.Fatalf("login: %s", body)
		}
		return e.Data.Token
	}
	call := func() string { return strings.Replace(run2(job, ""), ": t1", ": "+login(), 1) }
	first := dataOf(t, raw(t, s.addr, call()))
	again := raw(t, s.addr, call())
	if decision(again) != string(rules.Replayed) || dataOf(t, again) != first {
		t.Errorf("the re-send got %q", again)
	}
	wantExecuted(t, server, "runJob", 1)
}

func TestWhatRunJobCannotCarryIsNotTranslated(t *testing.T) {
	for _, c := range []struct {
		compat Compat
		more   string
		status int
		got    string
		warns  bool
	}{
		{CompatAuto, `,"outerKey":"k"`, 404, "runJob2 1, runJob 0", true},
		{CompatAuto, `,"extendValue":"v"`, 404, "runJob2 1, runJob 0", true},
		{CompatAuto, `,"later":{"a":1}`, 404, "runJob2 1, runJob 0", true},
		{CompatAuto, `,"delay":1.5`, 404, "runJob2 1, runJob 0", false},
		{CompatLossy, `,"outerKey":"k"`, 200, "runJob2 1, runJob 1", false},
		{CompatOff, ``, 404, "runJob2 1, runJob 0", false},
	} {
		server, url := startLegacy(t, legacy.Options{})
		s := newShim(t, compat(dedupSettings(t, url), c.compat))
		got := raw(t, s.addr, run2(makeJob(t, s.addr), c.more))
		if statusOf(got) != c.status || calls(server) != c.got {
			t.Errorf("%+v: the server got %s, the client %q", c, calls(server), got)
		}
		if c.status == 404 && !strings.Contains(got, `"path":"/openApi/runJob2"`) {
			t.Errorf("%+v: the client got %q", c, got)
		}
		if warned := s.logs.FilterMessageSnippet("runJob cannot carry these fields").Len() > 0; warned != c.warns {
			t.Errorf("%+v: warned: %t", c, warned)
		}
	}
}

// Calls with fields that runJob cannot carry are always tried as what they are,
// and tell when a server has come to know runJob2.
func TestWhatRunJobCannotCarryIsWarnedOfOnceAnHour(t *testing.T) {
	server, base := startLegacy(t, legacy.Options{})
	settings := dedupSettings(t, base)
	s := newShim(t, settings)
	job := makeJob(t, s.addr)
	for i := range 6 {
		if i == 4 { // a reload says it anew
			if err := s.Swap(settings); err != nil {
				t.Fatal(err)
			}
		}
		if got := statusOf(raw(t, s.addr, run2(job, fmt.Sprintf(`,"outerKey":"k%d"`, i)))); got != 404 {
			t.Errorf("call %d got %d", i, got)
		}
		if got, want := s.logs.FilterMessageSnippet("runJob cannot carry these fields").Len(), 1+i/4; got != want {
			t.Errorf("after %d calls %d warnings, want %d", i+1, got, want)
		}
	}
	if got := calls(server); got != "runJob2 6, runJob 0" {
		t.Errorf("the server got %s", got)
	}
	var l routing.Lacking
	one, other, now := new(up.Server), new(up.Server), time.Now()
	for _, c := range []struct {
		s    *up.Server
		at   time.Duration
		want bool
	}{{one, 0, true}, {one, time.Hour - 1, false}, {other, time.Minute, true}, {one, time.Hour, true}} {
		if got := l.Warns(c.s, now.Add(c.at)); got != c.want {
			t.Errorf("after %v: %t", c.at, got)
		}
	}
}

func TestAnAnswerToRunJob2EndsTheMemory(t *testing.T) {
	var newer atomic.Bool
	server := legacy.New(legacy.Options{})
	later := legacy.New(legacy.Options{New: true})
	s := newShim(t, dedupSettings(t, upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if newer.Load() {
			later.ServeHTTP(w, r)
			return
		}
		server.ServeHTTP(w, r)
	})))
	job := makeJob(t, s.addr)
	dataOf(t, raw(t, s.addr, run2(job, "")))
	newer.Store(true)
	if other := makeJob(t, s.addr); other != job {
		t.Fatalf("the newer server's job is %d", other)
	}
	dataOf(t, raw(t, s.addr, run2(job, "")))
	if got := calls(later); got != "runJob2 0, runJob 1" {
		t.Errorf("the newer server got %s", got)
	}
	dataOf(t, raw(t, s.addr, run2(job, `,"outerKey":"k"`)))
	dataOf(t, raw(t, s.addr, run2(job, "")))
	if got := calls(later); got != "runJob2 2, runJob 1" {
		t.Errorf("the newer server got %s", got)
	}
}

func TestAServerIsAskedAgainAfterAReloadAndEveryHour(t *testing.T) {
	server, url := startLegacy(t, legacy.Options{})
	settings := dedupSettings(t, url)
	s := newShim(t, settings)
	job := makeJob(t, s.addr)
	dataOf(t, raw(t, s.addr, run2(job, "")))
	if err := s.Swap(settings); err != nil {
		t.Fatal(err)
	}
	dataOf(t, raw(t, s.addr, run2(job, "")))
	if got := calls(server); got != "runJob2 2, runJob 2" {
		t.Errorf("after a reload the server got %s", got)
	}
	snap := s.snap.Load()
	srv, now := snap.Groups["default"].Upstream.Servers[0], time.Now()
	if !snap.Lacking.Has(srv, now.Add(59*time.Minute)) || snap.Lacking.Has(srv, now.Add(61*time.Minute)) {
		t.Error("it is not remembered for an hour")
	}
}

// Of two servers in a group each gets what it has.
func TestWhatAServerLacksIsKnownForEachServer(t *testing.T) {
	older, olderURL := startLegacy(t, legacy.Options{})
	newer, newerURL := startLegacy(t, legacy.Options{New: true})
	s := newShim(t, dedupSettings(t, olderURL, newerURL))
	for older.Received("runJob") < 3 || newer.Received("runJob2") < 3 {
		raw(t, s.addr, run2(1, "")) // there is no such job: the calls count here
	}
	if older.Received("runJob2") != 1 || newer.Received("runJob") != 0 {
		t.Errorf("the older server got %s, the newer %s", calls(older), calls(newer))
	}
}

// Only the server's own word that it has no handler teaches anything.
func TestAnother404IsPassedOnAndTeachesNothing(t *testing.T) {
	const spring = `{"timestamp":"x","status":404,"error":"Not Found","path":"/openApi/runJob2"}`
	for name, c := range map[string]struct {
		status int
		body   string
	}{
		"a gateway's page":          {404, "<html>404</html>"},
		"nothing":                   {404, ""},
		"another path":              {404, strings.Replace(spring, "/openApi/runJob2", "/pj/openApi/runJob2", 1)},
		"a gateway's JSON":          {404, `{"status":404,"error":"Not Found"}`},
		"PowerJob's envelope":       {404, `{"success":false,"data":null,"message":"x"}`},
		"another status":            {400, spring},
		"another status in the 404": {404, strings.Replace(spring, "404", "405", 1)},
		"too long":                  {404, spring + strings.Repeat(" ", 16<<10)},
	} {
		var got atomic.Int64
		s := newShim(t, dedupSettings(t, upstream(t, func(w http.ResponseWriter, r *http.Request) {
			got.Add(1)
			if r.URL.Path != "/openApi/runJob2" {
				t.Errorf("%s: the server got %s", name, r.URL)
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		})))
		for range 2 {
			answer := raw(t, s.addr, run2(1, ""))
			if _, body := parse(t, answer); statusOf(answer) != c.status || body != c.body {
				t.Errorf("%s: the client got %q", name, answer)
			}
		}
		if got.Load() != 2 {
			t.Errorf("%s: the server got %d requests", name, got.Load())
		}
	}
}

func TestABodyThatIsNotHeldIsNotTranslated(t *testing.T) {
	server, url := startLegacy(t, legacy.Options{})
	settings := dedupSettings(t, url)
	settings.Dedup.MaxBody = 16
	s := newShim(t, settings)
	if got := raw(t, s.addr, run2(1, "")); statusOf(got) != 404 || calls(server) != "runJob2 1, runJob 0" {
		t.Errorf("the server got %s, the client %q", calls(server), got)
	}
}

// Without any dedup rule calls are translated too.
func TestTranslationNeedsNoDedupRule(t *testing.T) {
	server, url := startLegacy(t, legacy.Options{})
	s := newShim(t, settingsFor(t, url))
	dataOf(t, raw(t, s.addr, run2(makeJob(t, s.addr), "")))
	wantExecuted(t, server, "runJob", 1)
}
