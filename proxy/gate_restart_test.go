package proxy

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"powerjob-shim/internal/standin/client"
	"powerjob-shim/internal/standin/legacy"
)

// restarting is an address whose shim can be replaced by one that knows
// nothing, as a restart does; requests in flight end with the old one.
type restarting struct {
	addr     string
	settings Settings
	current  atomic.Pointer[Proxy]
}

func newRestarting(t testing.TB, settings Settings) *restarting {
	t.Helper()
	r := &restarting{settings: settings}
	r.restart(t)
	front := newUnstartedUpstream(t, func(w http.ResponseWriter, req *http.Request) { r.current.Load().ServeHTTP(w, req) })
	front.Start()
	r.addr = front.Listener.Addr().String()
	return r
}

func (r *restarting) restart(t testing.TB) {
	t.Helper()
	p, err := New(Options{}, r.settings)
	if err != nil {
		t.Fatal(err)
	}
	r.current.Store(p)
}

func TestAShimThatRestartsBehindAnEnforcingGateLosesNoCallAndDoublesNone(t *testing.T) {
	for _, threads := range []int{1, 8} {
		t.Run(fmt.Sprint(threads, " threads"), func(t *testing.T) {
			const saves = 200
			server, url := startLegacy(t, legacy.Options{Apps: twoApps})
			settings := dedupSettings(t, url)
			settings.Access = enforce
			r := newRestarting(t, settings)
			c := logIn(t, r.addr)
			var (
				next atomic.Int64
				wg   sync.WaitGroup
			)
			for range threads {
				wg.Go(func() {
					for n := next.Add(1); n <= saves; n = next.Add(1) {
						if n == saves/2 {
							r.restart(t)
						}
						if result, err := c.Call("saveJob", client.Params{"jobName": fmt.Sprint("job ", n)}); err != nil || !result.Success {
							t.Errorf("save %d: %v, %s", n, err, result.Message)
						}
					}
				})
			}
			wg.Wait()
			wantExecuted(t, server, "saveJob", saves)
			if got := len(server.State().Jobs); got != saves {
				t.Errorf("%d saves made %d jobs", saves, got)
			}
			if threads == 1 {
				if got := server.Received("authApp"); got != 3 {
					t.Errorf("%d logins, want 2 of the constructor and 1 after the restart", got)
				}
			}
		})
	}
}

// A copy whose answer may be repeated must not be taken for repeated because
// of a login that another call's refusal caused.
func TestALoginThatARefusalCausedPaysForNoOtherCall(t *testing.T) {
	s, server := newGated(t, enforce)
	c := logIn(t, s.addr)
	id := must(t, c, "saveJob", client.Params{"jobName": "a"}).ID()
	must(t, c, "copyJob", client.Params{"jobId": id})

	disable := fmt.Sprintf("jobId=%d&appId=1", id)
	head := func(token string) []string { return append(asApp("1", token), formLine) }
	raw(t, s.addr, request("POST", "/openApi/disableJob", disable, head("forgotten")...)) // false
	refreshed := tokenOf(t, s.addr, "app1", "pw")
	raw(t, s.addr, request("POST", "/openApi/disableJob", disable, head(refreshed)...))
	wantExecuted(t, server, "disableJob", 1)

	var first []byte // the client chooses the order
	for _, q := range server.Requests() {
		if q.Call == "copyJob" {
			first = q.Body
		}
	}
	copyAgain := request("POST", "/openApi/copyJob", string(first), head(refreshed)...)
	if got := decision(raw(t, s.addr, copyAgain)); got != "forwarded" {
		t.Errorf("a second copy is %s", got)
	}
	wantExecuted(t, server, "copyJob", 2)
}

func TestTheReSendAfterARefusalIsAFirstCall(t *testing.T) {
	server, url := startLegacy(t, legacy.Options{Apps: twoApps})
	settings := dedupSettings(t, url)
	settings.Access = enforce
	s := newShim(t, settings)
	body := saveBody(0, "a")
	raw(t, s.addr, request("POST", "/openApi/saveJob", body, append(asApp("1", "forgotten"), jsonLine)...))
	token := tokenOf(t, s.addr, "app1", "pw")
	raw(t, s.addr, request("POST", "/openApi/saveJob", body, append(asApp("1", token), jsonLine)...))
	wantExecuted(t, server, "saveJob", 1)
	line := s.logLine(t, 2)
	if line["decision"] != "forwarded" || line["reason"] != "after_false" {
		t.Errorf("the re-send is %v, %v", line["decision"], line["reason"])
	}
	if line := s.logLine(t, 0); line["gate"] != "refused" || line["gate_reason"] != "unknown_token" || line["decision"] != nil {
		t.Errorf("the refusal is logged as %v", line)
	}
	for _, entry := range s.logs.All() {
		for _, secret := range []string{token, "forgotten"} {
			if strings.Contains(fmt.Sprint(entry.Message, entry.ContextMap()), secret) {
				t.Errorf("a token is in the log: %v", entry)
			}
		}
	}
}
