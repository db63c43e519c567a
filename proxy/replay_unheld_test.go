package proxy

import (
	"strings"
	"testing"

	"powerjob-shim/internal/standin/client"
	"powerjob-shim/internal/standin/legacy"
)

// small is a bound on bodies that tests can go beyond.
const small = 512

// newSmall is newDedup with bodies held up to small.
func newSmall(t testing.TB, change func(*Settings), o legacy.Options) (*shim, *legacy.Server) {
	t.Helper()
	server, url := startLegacy(t, o)
	settings := dedupSettings(t, url)
	settings.Dedup.MaxBody = small
	if change != nil {
		change(&settings)
	}
	return newShim(t, settings), server
}

func TestASaveThatIsTooLargeToBeHeldOvertakesOthers(t *testing.T) {
	large := save(saveBody(1, strings.Repeat("B", small)))
	for name, message := range map[string]string{"with a length": large, "chunked": chunked(large)} {
		t.Run(name, func(t *testing.T) {
			s, server := newSmall(t, nil, legacy.Options{})
			raw(t, s.addr, save(saveBody(0, "x")))
			for _, message := range []string{save(saveBody(1, "A")), message, save(saveBody(1, "A"))} {
				raw(t, s.addr, message)
			}
			wantExecuted(t, server, "saveJob", 4)
			if got := server.State().Jobs[1].Name; got != "A" {
				t.Errorf("the job is %.20q, want the last save's A", got)
			}
		})
	}
}

// A login that follows a refusal pays for no other call, also where the refused
// one was too large to be held.
func TestARefusalOfACallThatIsTooLargeToBeHeldExplainsItsLogin(t *testing.T) {
	params := client.Params{"jobName": strings.Repeat("B", small)}
	refused := false
	s, server := newSmall(t, nil, legacy.Options{Fault: func(r legacy.Request) legacy.Fault {
		if r.Call == "saveJob" && len(r.Body) > small && !refused {
			refused = true
			return legacy.Fault{SkipExecution: true, Status: 200, Header: map[string][]string{authLine: {"false"}}}
		}
		return legacy.Fault{}
	}})
	c := logIn(t, s.addr)
	must(t, c, "saveJob", client.Params{"jobName": "x"})
	must(t, c, "runJob", client.Params{"jobId": 1})
	must(t, c, "saveJob", params)
	must(t, c, "runJob", client.Params{"jobId": 1})
	wantExecuted(t, server, "runJob", 2)
	wantExecuted(t, server, "saveJob", 2)
	if n := s.sum(t, "powerjob_shim_logins_total", "kind", "refresh"); n != 1 {
		t.Errorf("%v refreshes counted, want 1", n)
	}
}
