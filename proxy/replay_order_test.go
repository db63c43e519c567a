package proxy

import (
	"strconv"
	"testing"

	"powerjob-shim/internal/standin/client"
	"powerjob-shim/internal/standin/legacy"
	"powerjob-shim/rules"
)

// What calls on one subject come to must be what a direct server would have
// come to, with the header lost and with it intact.
func TestCallsOnOneSubjectAreExecutedInTheirOrder(t *testing.T) {
	type step struct {
		name   string
		params client.Params
	}
	saveA := step{"saveJob", client.Params{"id": 1, "jobName": "A"}}
	saveB := step{"saveJob", client.Params{"id": 1, "jobName": "B"}}
	on := func(name string, id int) step { return step{name, client.Params{"jobId": id}} }
	create := step{"saveJob", client.Params{"jobName": "new"}}
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"save A, save B, save A", []step{saveA, saveB, saveA}},
		{"disable, enable, disable", []step{on("disableJob", 1), on("enableJob", 1), on("disableJob", 1)}},
		{"save, delete, save", []step{saveA, on("deleteJob", 1), saveA}},
		{"create, delete, create", []step{create, on("deleteJob", 2), create}},
	} {
		for _, hop := range []bool{false, true} {
			t.Run(c.name+", header lost "+strconv.FormatBool(hop), func(t *testing.T) {
				s, server := newDedup(t, legacy.Options{})
				addr := s.addr
				if hop {
					addr = lowercasing(t, addr)
				}
				user := logIn(t, addr)
				must(t, user, "saveJob", client.Params{"jobName": "first"})
				want := map[string]int{"saveJob": 1}
				for _, st := range c.steps {
					must(t, user, st.name, st.params)
					want[st.name]++
				}
				for name, n := range want {
					wantExecuted(t, server, name, n)
				}
				done := server.Executions()
				for i, st := range c.steps {
					if done[i+1].Call != st.name {
						t.Errorf("execution %d was %s, want %s", i+1, done[i+1].Call, st.name)
					}
				}
			})
		}
	}
}

// The first save A hangs at the server while B is saved: its re-send gets its
// own answer, whatever happened since, and a new save A is a new one.
func TestASaveThatWasOvertakenIsNotMatched(t *testing.T) {
	held, arrived := make(chan struct{}), make(chan struct{}, 1)
	first := true
	s, server := newDedup(t, legacy.Options{Fault: func(r legacy.Request) legacy.Fault {
		if string(r.Body) == saveBody(1, "A") && first {
			first = false
			arrived <- struct{}{}
			<-held
		}
		return legacy.Fault{}
	}})
	raw(t, s.addr, save(saveBody(0, "x")))
	slow := async(t, s.addr, save(saveBody(1, "A")))
	<-arrived
	if got := decision(raw(t, s.addr, save(saveBody(1, "B")))); got != "forwarded" {
		t.Errorf("save B was %s", got)
	}
	if got := decision(raw(t, s.addr, save(saveBody(1, "A")))); got != "forwarded" {
		t.Errorf("save A over B was %s", got)
	}
	close(held)
	if got := decision(<-slow); got != "forwarded" {
		t.Errorf("the slow save A was %s", got)
	}
	if got := decision(raw(t, s.addr, save(saveBody(1, "B")))); got != "forwarded" {
		t.Errorf("a second save B behind a later save A was %s", got)
	}
	wantExecuted(t, server, "saveJob", 5)
}

func TestObserveModeForwardsEverythingAndCounts(t *testing.T) {
	observed := func(r rules.Rule) rules.Rule {
		d := *r.Dedup
		d.Observe = true
		r.Dedup = &d
		return r
	}
	for _, c := range []struct {
		name string
		set  func(*Settings)
		save int // executions of two equal saves
		run  int // executions of one runJob whose header is lost
	}{
		{"enforced", func(*Settings) {}, 1, 1},
		{"all observed", func(s *Settings) { s.Dedup.Observe = true }, 2, 2},
		{"saves observed", func(s *Settings) { s.Rules = compileRules(t, authRule, observed(saveRule), changesRule) }, 2, 1},
		{"the others observed", func(s *Settings) { s.Rules = compileRules(t, authRule, saveRule, observed(changesRule)) }, 1, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			server, url := startLegacy(t, legacy.Options{})
			settings := dedupSettings(t, url)
			c.set(&settings)
			s := newShim(t, settings)
			raw(t, s.addr, save(saveBody(0, "a")))
			again := raw(t, s.addr, save(saveBody(0, "a")))
			must(t, logIn(t, lowercasing(t, s.addr)), "runJob", client.Params{"jobId": 1})
			wantExecuted(t, server, "saveJob", c.save)
			wantExecuted(t, server, "runJob", c.run)
			for call, n := range map[string]int{"saveJob": c.save, "runJob": c.run} {
				replayed, observed := 2-n, n-1
				if got := s.sum(t, "powerjob_shim_dedup_total", "call", call, "decision", "observed"); got != float64(observed) {
					t.Errorf("%s: %v counted as observed, want %d", call, got, observed)
				}
				if got := s.sum(t, "powerjob_shim_dedup_total", "call", call, "decision", "replayed"); got != float64(replayed) {
					t.Errorf("%s: %v counted as replayed, want %d", call, got, replayed)
				}
			}
			want := map[int]string{1: "replayed", 2: "observed"}[c.save]
			if got := decision(again); got != want || statusOf(again) != 200 {
				t.Errorf("the repeated save got %q, want %s", again, want)
			}
			if n := s.sum(t, "powerjob_shim_resends_total", "call", "runJob"); n != 1 {
				t.Errorf("%v re-sends counted, want 1 in every mode", n)
			}
		})
	}
}

func TestObserveModeIsTheLeverThatASwapPulls(t *testing.T) {
	server, url := startLegacy(t, legacy.Options{})
	s := newShim(t, dedupSettings(t, url))
	raw(t, s.addr, save(saveBody(0, "a")))
	for i, want := range []string{"observed", "replayed", "observed"} {
		settings := dedupSettings(t, url)
		settings.Dedup.Observe = want == "observed"
		if err := s.Swap(settings); err != nil {
			t.Fatal(err)
		}
		if got := decision(raw(t, s.addr, save(saveBody(0, "a")))); got != want {
			t.Errorf("save %d was %s, want %s", i, got, want)
		}
	}
	wantExecuted(t, server, "saveJob", 3)
}
