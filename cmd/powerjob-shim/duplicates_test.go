package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"powerjob-shim/internal/standin/client"
	"powerjob-shim/internal/standin/legacy"
	"powerjob-shim/internal/wireclient"
	"powerjob-shim/rules/openapi"
)

// startServer runs a stand-in server.
func startServer(t *testing.T, o legacy.Options) (*legacy.Server, string) {
	t.Helper()
	s := legacy.New(o)
	address, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, address
}

// save makes a job in a server, without a client.
func save(t *testing.T, s *legacy.Server, name string) {
	t.Helper()
	s.Serve(legacy.Input{Call: "saveJob", JSON: fmt.Appendf(nil, `{"appId":1,"jobName":%q}`, name)})
}

// damaged returns a stand-in server on which a 5.x client has made jobs, and executed
// each call twice. known are the ids that the client was told.
func damaged(t *testing.T, o legacy.Options, known *[]int64) (*legacy.Server, string) {
	t.Helper()
	s, address := startServer(t, o)
	c, err := client.New(client.Config{Addresses: []string{strings.TrimPrefix(address, "http://")}, AppName: "app1", Password: "pw"})
	if err != nil {
		t.Fatal(err)
	}
	must := func(call string, p client.Params) int64 {
		r, err := c.Call(call, p)
		if err != nil || !r.Success {
			t.Fatalf("%s: %+v, %v", call, r, err)
		}
		return r.ID()
	}
	nightly := must("saveJob", client.Params{"jobName": "nightly", "jobParams": "p"})
	other := must("saveJob", client.Params{"jobName": "nightly", "jobParams": "q"})
	copied := must("copyJob", client.Params{"jobId": nightly})
	*known = append(*known, nightly, other, copied)
	return s, address
}

// states returns the ids of a server's jobs, by status.
func states(s *legacy.Server) map[int][]int64 {
	by := map[int][]int64{}
	jobs := s.State().Jobs
	for _, id := range slices.Sorted(maps.Keys(jobs)) {
		by[jobs[id].Status] = append(by[jobs[id].Status], id)
	}
	return by
}

// asApp1 runs the command as app1, with its password in an environment variable.
func asApp1(target string, args ...string) (code int, stdout, stderr string) {
	return execute([]string{"PASSWORD=pw"}, append([]string{"duplicates", target, "--app", "app1", "--password-env", "PASSWORD"}, args...)...)
}

// apart is a time that a run of the test decides.
var apart = regexp.MustCompile(` {2,}\d+m?s {2,}`)

func TestDuplicatesFindsWhatTheDefectLeft(t *testing.T) {
	var known []int64
	s, address := damaged(t, legacy.Options{}, &known)
	before := s.Executed("")
	code, stdout, stderr := asApp1(address)
	want := "powerjob-shim duplicates " + address + `

app1: 6 jobs, deleted ones included. Equal ones that were made within 10s of each other:

  LEFTOVER   KEEP       APART  JOB
  1 enabled  2 enabled  TIME  nightly
  3 enabled  4 enabled  TIME  nightly
  5 enabled  6 enabled  TIME  nightly_COPY

LEFTOVER: 3 pairs. The call was executed twice; its caller was told the later id, nobody knows the earlier one.
`
	if got := apart.ReplaceAllString(stdout, "  TIME  "); code != 3 || !strings.HasPrefix(got, want) || stderr != "there are duplicates, see above\n" {
		t.Errorf("%d, %q\n%s\nwant\n%s", code, stderr, got, want)
	}
	if !slices.Equal(known, []int64{2, 4, 6}) {
		t.Errorf("the caller knows %v", known)
	}
	if got := s.Executed(""); got != before {
		t.Errorf("looking executed %d calls", got-before)
	}
}

func TestDeleteLeavesTheJobsThatTheirCallersKnow(t *testing.T) {
	for name, c := range map[string]struct {
		flag   string
		status int
		path   func(t *testing.T, server string) string
	}{
		"delete":                  {"--delete", legacy.Deleted, func(_ *testing.T, server string) string { return server }},
		"disable":                 {"--disable", legacy.Disabled, func(_ *testing.T, server string) string { return server + "/openApi/" }},
		"delete through the shim": {"--delete", legacy.Deleted, func(t *testing.T, server string) string { return shimIn(t, startInProcess, server) }},
	} {
		t.Run(name, func(t *testing.T) {
			var known []int64
			s, server := damaged(t, legacy.Options{}, &known)
			address, before := c.path(t, server), s.Executed("")
			code, stdout, stderr := asApp1(address, c.flag, "--yes")
			if want := map[int][]int64{legacy.Enabled: known, c.status: {1, 3, 5}}; code != 0 || !reflect.DeepEqual(states(s), want) {
				t.Errorf("%d, %s\n%s\nthe jobs are %v, want %v", code, stderr, stdout, states(s), want)
			}
			if got := s.Executed("") - before; got != 3 {
				t.Errorf("%d calls were executed, want one for each leftover", got)
			}
			if code, _, stderr := asApp1(address); code != 0 {
				t.Errorf("a second look: %d, %s", code, stderr)
			}
			if code, _, _ := asApp1(address, c.flag, "--yes"); code != 0 || s.Executed("")-before != 3 {
				t.Errorf("a second time: %d, %d calls executed", code, s.Executed("")-before)
			}
		})
	}
}

func TestEveryServerIsLoggedInTo(t *testing.T) {
	for name, o := range map[string]legacy.Options{
		"check off":            {},
		"under a context path": {Prefix: "/x"},
		"patched":              {Mode: legacy.Patched},
		"check on":             {Mode: legacy.CheckOn},
		"without authApp":      {Mode: legacy.NoAuthApp},
	} {
		t.Run(name, func(t *testing.T) {
			s, address := startServer(t, o)
			login := s.Serve(legacy.Input{Call: "authApp", JSON: wireclient.Login("app1", "pw").Body})
			issued, _ := openapi.IssuedBy(login.Body)
			for range 2 {
				s.Serve(legacy.Input{Call: "saveJob", JSON: []byte(`{"appId":1,"jobName":"a"}`), Token: issued.Token, AppID: "1"})
			}
			code, stdout, stderr := asApp1(address, "--delete", "--yes")
			if want := map[int][]int64{legacy.Enabled: {2}, legacy.Deleted: {1}}; code != 0 || !reflect.DeepEqual(states(s), want) {
				t.Errorf("%d: %s\n%s\nthe jobs are %v, want %v", code, stderr, stdout, states(s), want)
			}
		})
	}
}

func TestJobsMadeOnPurposeAreNoDuplicates(t *testing.T) {
	var now atomic.Int64
	now.Store(time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC).UnixMilli())
	s, address := startServer(t, legacy.Options{Mode: legacy.Patched, Now: func() time.Time { return time.UnixMilli(now.Load()) }})
	for range 3 {
		save(t, s, "a")
		now.Add(time.Hour.Milliseconds())
	}
	if code, stdout, stderr := asApp1(address, "--delete", "--yes"); code != 0 || !strings.Contains(stdout, "3 jobs, deleted ones included; no equal ones") || s.Executed("deleteJob") != 0 {
		t.Errorf("%d, %s\n%s", code, stderr, stdout)
	}
	if code, stdout, _ := asApp1(address, "--within", "2h"); code != 3 || !strings.Contains(stdout, "a: 1 enabled, 1h0m0s later 2 enabled, 1h0m0s later 3 enabled") {
		t.Errorf("%d\n%s", code, stdout)
	}
}

// realJob returns a job as a real 4.3.9 server describes it, with this id and name,
// made in this second.
const realJob = `{"id":%d,"jobName":"job %d","jobDescription":"made by a test","appId":1,"jobParams":null,"timeExpressionType":1,"timeExpression":null,` +
	`"executeType":1,"processorType":1,"processorInfo":"com.example.Processor","maxInstanceNum":0,"concurrency":5,"instanceTimeLimit":0,` +
	`"instanceRetryNum":0,"taskRetryNum":0,"status":1,"nextTriggerTime":null,"minCpuCores":0.0,"minMemorySpace":0.0,"minDiskSpace":0.0,` +
	`"designatedWorkers":null,"maxWorkerCount":0,"notifyUserIds":null,"gmtCreate":"2026-11-22T13:18:%02d.395+00:00",` +
	`"gmtModified":"2026-11-22T13:18:46.395+00:00","extra":null,"dispatchStrategy":1,"dispatchStrategyConfig":null,"lifecycle":"{}",` +
	`"alarmConfig":null,"tag":null,"logConfig":null,"advancedRuntimeConfig":null}`

func TestTwentyThousandJobsAreOneAnswer(t *testing.T) {
	const jobs = 20_000
	var list strings.Builder
	for i := range jobs {
		name := i
		if i%1000 == 1 {
			name-- // the same as the one before
		}
		fmt.Fprintf(&list, ","+realJob, i+1, name, i%60)
	}
	requests := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		if r.URL.Path == "/openApi/authApp" {
			fmt.Fprint(w, `{"success":true,"data":{"appId":1,"token":"t"}}`)
			return
		}
		fmt.Fprintf(w, `{"success":true,"data":[%s],"message":null}`, list.String()[1:])
	}))
	t.Cleanup(s.Close)
	code, stdout, stderr := asApp1(s.URL, "--format", "json")
	var got struct {
		Jobs     int
		Findings []struct{ Kind string }
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != 3 || got.Jobs != jobs || len(got.Findings) != 20 {
		t.Errorf("%d, %s, %v: %d jobs, %d findings", code, stderr, err, got.Jobs, len(got.Findings))
	}
	if requests != 3 {
		t.Errorf("%d requests, want a login, one with its token, and a list", requests)
	}
}
