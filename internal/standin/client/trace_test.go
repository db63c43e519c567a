package client

import (
	"bytes"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"powerjob-shim/internal/standin/legacy"
)

var update = flag.Bool("update", false, "write the recordings of the real client anew")

// scenarios are the situations in which the port is compared with the real client: the
// server's mode, and what happens to the first saveJob.
var scenarios = map[string]struct {
	mode  legacy.Mode
	fault legacy.Fault
}{
	"fine":             {legacy.Patched, legacy.Fault{}},
	"check-on":         {legacy.CheckOn, legacy.Fault{}},
	"header-lost":      {legacy.Legacy, legacy.Fault{}},
	"cut-after":        {legacy.Patched, legacy.Fault{Cut: legacy.CutBeforeStatus}},
	"reset-after":      {legacy.Patched, legacy.Fault{Cut: legacy.CutBeforeStatus, Reset: true}},
	"cut-before":       {legacy.Patched, legacy.Fault{Cut: legacy.CutBeforeStatus, SkipExecution: true}},
	"cut-in-header":    {legacy.Patched, legacy.Fault{Cut: legacy.CutInHeader}},
	"cut-in-body":      {legacy.Patched, legacy.Fault{Cut: legacy.CutInBody}},
	"408":              {legacy.Patched, legacy.Fault{SkipExecution: true, Status: 408}},
	"503":              {legacy.Patched, legacy.Fault{SkipExecution: true, Status: 503}},
	"503-retry-now":    {legacy.Patched, legacy.Fault{SkipExecution: true, Status: 503, Header: map[string][]string{"Retry-After": {"0"}}}},
	"500":              {legacy.Patched, legacy.Fault{SkipExecution: true, Status: 500}},
	"timeout":          {legacy.Patched, legacy.Fault{DelayAfter: 2300 * time.Millisecond}},
	"timeout-and-lost": {legacy.Legacy, legacy.Fault{DelayAfter: 2300 * time.Millisecond}},
	"lowercase":        {legacy.Legacy, legacy.Fault{Header: map[string][]string{"x-powerjob-auth-passed": {"true"}}}},
	"false-then-true":  {legacy.Legacy, legacy.Fault{Header: map[string][]string{authHeader: {"false", "true"}}}},
	"true-then-false":  {legacy.Legacy, legacy.Fault{Header: map[string][]string{authHeader: {"true", "false"}}}},
	"upper-case-true":  {legacy.Legacy, legacy.Fault{Header: map[string][]string{authHeader: {"TRUE"}}}},
}

// TestThePortSendsWhatTheRealClientSends compares the port's requests with those of
// tech.powerjob:powerjob-client:5.1.0, as recorded in testdata (5.1.1 sends the same).
// If POWERJOB_CLIENT_CLASSPATH has the jar's class path (from mvn
// dependency:build-classpath), the real client runs too, and the recordings are written
// again.
func TestThePortSendsWhatTheRealClientSends(t *testing.T) {
	for name, scenario := range scenarios {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join("testdata", "trace-5.1.0", name+".txt")
			if path := os.Getenv("POWERJOB_CLIENT_CLASSPATH"); path != "" {
				recorded := trace(t, scenario.mode, scenario.fault, func(addresses []string) string {
					args := append([]string{"-cp", path, "testdata/Trace.java"}, addresses...)
					cmd := exec.CommandContext(t.Context(), "java", args...)
					cmd.Stderr = os.Stderr
					out, err := cmd.Output()
					if err != nil {
						t.Fatal(err)
					}
					return string(out)
				})
				if *update {
					if err := os.WriteFile(file, []byte(recorded), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				if want := read(t, file); recorded != want {
					t.Errorf("the real client sends\n%s\nthe recording has\n%s", recorded, want)
				}
			}
			want := read(t, file)
			if got := trace(t, scenario.mode, scenario.fault, callAll); got != want {
				t.Errorf("the port sends\n%s\nthe real client\n%s", got, want)
			}
		})
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// callAll makes the calls of Trace.java with the port.
func callAll(addresses []string) string {
	var out strings.Builder
	c, err := New(Config{Addresses: addresses, AppName: "app1", Password: "pw"})
	if err != nil {
		return err.Error()
	}
	call := func(name string, p Params) {
		r, err := c.Call(name, p)
		if err != nil {
			fmt.Fprintf(&out, "%s throws\n", name)
			return
		}
		fmt.Fprintf(&out, "%s success=%t\n", name, r.Success)
	}
	call("saveJob", Params{"jobName": "nightly"})
	call("copyJob", Params{"jobId": 1})
	call("runJob", Params{"jobId": 1, "instanceParams": "a b&c=1/ü+~*", "delay": 0})
	call("fetchAllJob", nil)
	return out.String()
}

// trace runs a client against one stand-in server at two addresses and records each
// request: address, path, the login that its token is from, app id, content type and
// body. JSON bodies are recorded by numbers, because their fields differ.
func trace(t *testing.T, mode legacy.Mode, fault legacy.Fault, run func(addresses []string) string) string {
	t.Helper()
	var hit atomic.Bool
	s := legacy.New(legacy.Options{Mode: mode, Fault: func(r legacy.Request) legacy.Fault {
		if r.Call == "saveJob" && hit.CompareAndSwap(false, true) {
			return fault
		}
		return legacy.Fault{}
	}})
	first, second := httptest.NewServer(s), httptest.NewServer(s)
	t.Cleanup(first.Close)
	t.Cleanup(second.Close)
	addresses := []string{strings.TrimPrefix(first.URL, "http://"), strings.TrimPrefix(second.URL, "http://")}
	outcome := run(addresses)

	var b bytes.Buffer
	bodies := map[string]int{}
	for _, r := range s.Requests() {
		body := string(r.Body)
		if strings.HasPrefix(body, "{") {
			if bodies[body] == 0 {
				bodies[body] = len(bodies) + 1
			}
			body = fmt.Sprintf("json-%d", bodies[body])
		}
		address := 1
		if r.Host == addresses[1] {
			address = 2
		}
		fmt.Fprintf(&b, "address=%d %s %s token-of-login=%d app=%q %s %s\n",
			address, r.Method, r.URI, r.Login, r.AppID, r.Header.Get("Content-Type"), body)
	}
	for _, e := range s.Executions() {
		fmt.Fprintf(&b, "executed %s\n", e.Call)
	}
	return b.String() + outcome
}
