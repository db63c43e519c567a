package proxy

import (
	"testing"

	"powerjob-shim/internal/address"
	"powerjob-shim/internal/duplicates"
	"powerjob-shim/internal/standin/legacy"
	"powerjob-shim/rules/openapi"
)

const script = "User-Agent: python-requests/2.32.5"

// runTwice is two scripts, one after the other, that each log in once and start
// the same job. Where the answer lacks the header, it is one that repeats itself.
func runTwice(t *testing.T, addr, agent string) (again string) {
	for _, token := range []string{"t1", "t2"} {
		logInRaw(t, addr, agent)
		again = raw(t, addr, request("POST", "/openApi/runJob", "jobId=1", formLine, openapi.AppIDHeader+": 1", openapi.TokenHeader+": "+token, agent))
	}
	return again
}

func TestTwoScriptsThatStartTheSameJobStartItTwice(t *testing.T) {
	up := newAnyCall(t)
	s := newShim(t, dedupSettings(t, up.url))
	runTwice(t, s.addr, script)
	up.wants(t, "POST runJob", 2)
	if n := s.sum(t, "powerjob_shim_resends_total"); n != 0 {
		t.Errorf("%v re-sends counted", n)
	}
	if n := s.sum(t, "powerjob_shim_logins_total", "kind", "constructor", "result", "ok"); n != 2 {
		t.Errorf("%v logins counted, want 2", n)
	}
	if n := s.sum(t, "powerjob_shim_logins_total", "kind", "refresh"); n != 0 {
		t.Errorf("%v refreshes counted", n)
	}
}

func TestAScriptThatGetsNoHeaderStartsItsJobOnce(t *testing.T) {
	up := newAnyCall(t)
	settings := dedupSettings(t, up.url)
	settings.Rules = compileRules(t, saveRule, changesRule) // nobody adds the header
	s := newShim(t, settings)
	if again := runTwice(t, s.addr, script); decision(again) != "replayed" || bodyOf(again) != `{"success":true,"data":1}` {
		t.Errorf("the re-send got %q", again)
	}
	up.wants(t, "POST runJob", 1)
}

func TestWithoutAUserAgentALoginIsEvidenceAsEver(t *testing.T) {
	for _, agent := range []string{"User-Agent: okhttp/3.14.9", "X-No: agent"} {
		up := newAnyCall(t)
		s := newShim(t, dedupSettings(t, up.url))
		runTwice(t, s.addr, agent)
		up.wants(t, "POST runJob", 1)
	}
}

func TestASingleReSendRaisesNoAlarm(t *testing.T) {
	up := newAnyCall(t)
	s := newShim(t, dedupSettings(t, up.url))
	alarms := func() (warned int, counted float64) {
		return s.logs.FilterMessageSnippet("repeats its calls").Len(), s.sum(t, "powerjob_shim_header_lost_total", "call", "runJob")
	}
	for i, want := range []int{0, 0, 1} {
		token := []string{"t1", "t2", "t3", "t4"}[i:]
		if i == 0 {
			logInRaw(t, s.addr)
		}
		raw(t, s.addr, withToken("runJob", token[0], "jobId=1"))
		logInRaw(t, s.addr)
		raw(t, s.addr, withToken("runJob", token[1], "jobId=1"))
		if warned, counted := alarms(); warned != want || int(counted) != want {
			t.Errorf("after %d re-sends: %d warnings, %v counted, want %d", i+1, warned, counted, want)
		}
	}
	if n := s.sum(t, "powerjob_shim_resends_total", "call", "runJob"); n != 3 {
		t.Errorf("%v re-sends counted, want 3", n)
	}
}

func TestLookingForDuplicatesTwiceRaisesNoAlarm(t *testing.T) {
	s, server := newDedup(t, legacy.Options{})
	at, err := address.Parse("http://" + s.addr)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		session, err := duplicates.Login(t.Context(), duplicates.Config{Server: at, App: "app1", Password: "pw"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := session.Jobs(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := server.Received("fetchAllJob"); got != 2 {
		t.Errorf("the server got fetchAllJob %d times, want 2", got)
	}
	if n := s.sum(t, "powerjob_shim_resends_total"); n != 0 {
		t.Errorf("%v re-sends counted", n)
	}
}
