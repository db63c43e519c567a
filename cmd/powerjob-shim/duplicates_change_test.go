package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"sync"
	"testing"

	"powerjob-shim/internal/duplicates"
	"powerjob-shim/internal/shimtest"
	"powerjob-shim/internal/standin/legacy"
)

// In TestOnlyWhatIsListedAndUntouchedIsChanged somebody else changes jobs after they
// were listed.
func TestOnlyWhatIsListedAndUntouchedIsChanged(t *testing.T) {
	for name, c := range map[string]struct {
		call, json string
		form       map[string]string
		want       string // what the report says about job 1
		code       int
	}{
		"the leftover is edited":  {"saveJob", `{"id":1,"appId":1,"jobName":"nightly","jobParams":"new"}`, nil, "1 skipped: job 1 was changed since it was listed", 3},
		"the leftover is deleted": {"deleteJob", "", map[string]string{"jobId": "1", "appId": "1"}, "1 skipped: somebody else has deleted it", 0},
		"the twin is edited":      {"saveJob", `{"id":2,"appId":1,"jobName":"nightly","jobParams":"new"}`, nil, "1 skipped: job 2 was changed since it was listed", 3},
		"the twin is deleted":     {"deleteJob", "", map[string]string{"jobId": "2", "appId": "1"}, "1 skipped: job 2 was changed since it was listed", 3},
	} {
		t.Run(name, func(t *testing.T) {
			var known []int64
			var s *legacy.Server
			edited := false // requests of the command come one by one
			s, address := damaged(t, legacy.Options{Fault: func(r legacy.Request) (f legacy.Fault) {
				if r.Call == "fetchJob" && !edited {
					edited = true
					if a := s.Serve(legacy.Input{Call: c.call, JSON: []byte(c.json), Params: c.form}); !a.Success {
						t.Error(a.Message)
					}
				}
				return f
			}}, &known)
			code, stdout, _ := asApp1(address, "--delete", "--yes")
			if code != c.code {
				t.Errorf("exit code %d, want %d:\n%s", code, c.code, stdout)
			}
			for _, want := range []string{c.want, "\n  3 deleted\n", "\n  5 deleted\n"} {
				if !strings.Contains(stdout, want) {
					t.Errorf("%q is missing in\n%s", want, stdout)
				}
			}
			for _, r := range s.Requests() {
				if r.Call == "deleteJob" && strings.Contains(string(r.Body), "jobId=1&") {
					t.Error("job 1 was changed")
				}
			}
		})
	}
}

func TestAFailureDoesNotStopTheOthers(t *testing.T) {
	for name, c := range map[string]struct {
		fault func(id string) legacy.Fault
		want  []string
		code  int
	}{
		"refused": {func(id string) (f legacy.Fault) {
			if id == "1" {
				f.SkipExecution, f.Status = true, http.StatusBadGateway
			}
			return f
		}, []string{"1 failed: the server answers 502 Bad Gateway", "3 deleted", "5 deleted"}, 1},
		"an answer is lost": {func(id string) (f legacy.Fault) {
			if id == "1" {
				f.Cut = legacy.CutBeforeStatus
			}
			return f
		}, []string{"1 deleted: no answer: ", "; but it is deleted now", "3 deleted", "5 deleted"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var known []int64
			s, address := damaged(t, legacy.Options{Fault: func(r legacy.Request) (f legacy.Fault) {
				if r.Call == "deleteJob" {
					id, _, _ := strings.Cut(strings.TrimPrefix(string(r.Body), "jobId="), "&")
					f = c.fault(id)
				}
				return f
			}}, &known)
			code, stdout, stderr := asApp1(address, "--delete", "--yes")
			if code != c.code {
				t.Errorf("%d, want %d: %s", code, c.code, stderr)
			}
			for _, want := range c.want {
				if !strings.Contains(stdout, want) {
					t.Errorf("%q is missing in\n%s", want, stdout)
				}
			}
			if got := s.Received("deleteJob"); got != 3 {
				t.Errorf("deleteJob was sent %d times for 3 leftovers", got)
			}
		})
	}
}

func TestAServerThatDiesEndsTheWork(t *testing.T) {
	const pairs = 10
	var s *legacy.Server
	s, address := startServer(t, legacy.Options{Fault: func(r legacy.Request) (f legacy.Fault) {
		if r.Call == "deleteJob" && s.Executed("deleteJob") == 2 {
			_ = s.Close() // this connection, too
			f.SkipExecution = true
		}
		return f
	}})
	for i := range 2 * pairs {
		save(t, s, fmt.Sprint("job ", i/2))
	}
	code, stdout, stderr := asApp1(address, "--delete", "--yes")
	if code != 1 || stderr != "not all leftovers could be changed, see above\n" {
		t.Errorf("%d, %q", code, stderr)
	}
	for want, times := range map[string]int{" deleted\n  ": 2, "list again\n": 1, "failed: reading job ": 2, "not tried: the server does not answer any more": pairs - 5} {
		if got := strings.Count(stdout, want); got != times {
			t.Errorf("%q is there %d times, want %d:\n%s", want, got, times, stdout)
		}
	}
}

func TestNothingIsChangedWithoutAYes(t *testing.T) {
	for answer, c := range map[string]struct {
		changed bool
		err     error // nil and not changed: any
		says    string
	}{
		"y\n":   {true, nil, "\nDelete 3 leftovers? [y/N] \n  1 deleted"},
		"YES":   {true, nil, "  3 deleted"},
		"\n":    {false, duplicates.ErrLeft, "Nothing was changed."},
		"no\n":  {false, duplicates.ErrLeft, "Nothing was changed."},
		"yep\n": {false, duplicates.ErrLeft, "Nothing was changed."},
		"":      {false, nil, "[y/N] \n"},
	} {
		var known []int64
		s, address := damaged(t, legacy.Options{}, &known)
		var out strings.Builder
		cmd := newDuplicatesCmd([]string{"PASSWORD=pw"})
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		cmd.SetArgs([]string{address, "--app", "app1", "--password-env", "PASSWORD", "--delete"})
		cmd.SetIn(strings.NewReader(answer))
		cmd.SetOut(&out)
		err := cmd.Execute()
		want := 0
		if c.changed {
			want = 3
		}
		if got := s.Executed("deleteJob"); got != want || (err == nil) != c.changed || c.err != nil && !errors.Is(err, c.err) {
			t.Errorf("%q: %d jobs deleted, want %d; %v", answer, got, want, err)
		}
		if !strings.Contains(out.String(), c.says) {
			t.Errorf("%q: %q is missing in\n%s", answer, c.says, out.String())
		}
	}
}

// TestOnlyPairsAreChanged has one finding of each kind.
func TestOnlyPairsAreChanged(t *testing.T) {
	s, address := startServer(t, legacy.Options{})
	for _, name := range []string{"pair", "pair", "alone", "alone", "three", "three", "three"} {
		save(t, s, name)
	}
	s.Serve(legacy.Input{Call: "deleteJob", Params: map[string]string{"jobId": "4", "appId": "1"}})
	code, stdout, stderr := asApp1(address, "--format", "json", "--delete", "--yes")
	if want := map[int][]int64{legacy.Enabled: {2, 3, 5, 6, 7}, legacy.Deleted: {1, 4}}; code != 3 || !reflect.DeepEqual(states(s), want) {
		t.Errorf("%d, %s: the jobs are %v, want %v", code, stderr, states(s), want)
	}
	type job struct{ Status string }
	type finding struct {
		Kind, Name     string
		Open           bool
		Leftover, Twin int64
		Jobs           []job
		Result         string
	}
	var got struct{ Findings []finding }
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatal(err)
	}
	enabled, deleted := job{"enabled"}, job{"deleted"}
	if want := []finding{
		{"pair", "pair", false, 1, 2, []job{deleted, enabled}, "done"},
		{"alone", "alone", true, 3, 4, []job{enabled, deleted}, ""},
		{"unclear", "three", true, 0, 0, []job{enabled, enabled, enabled}, ""},
	}; !reflect.DeepEqual(got.Findings, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got.Findings, want)
	}
	_, stdout, _ = asApp1(address)
	for _, want := range []string{"ALONE      TWIN       APART", "ALONE: 1 pair whose later job", "UNCLEAR: 1 set of", "  three: 5 enabled, "} {
		if !strings.Contains(stdout, want) {
			t.Errorf("%q is missing in\n%s", want, stdout)
		}
	}
}

// TestTheAdviceIsNotWhatWasJustDone follows a user who disables the leftovers,
// looks again, disables them again, and then deletes them.
func TestTheAdviceIsNotWhatWasJustDone(t *testing.T) {
	const both, deleteOnly = "Then add --disable or --delete.", "All of them are disabled already. With --delete they are no longer listed."
	var known []int64
	_, address := damaged(t, legacy.Options{}, &known)
	for i, step := range []struct {
		args []string
		want string // of the two pieces of advice; "": neither
	}{
		{nil, both},
		{[]string{"--disable", "--yes"}, ""},
		{nil, deleteOnly},
		{[]string{"--disable", "--yes"}, deleteOnly},
		{[]string{"--delete", "--yes"}, ""},
		{nil, ""},
	} {
		_, stdout, stderr := asApp1(address, step.args...)
		for _, advice := range []string{both, deleteOnly} {
			if got := strings.Contains(stdout, advice); got != (advice == step.want) {
				t.Errorf("step %d, %v: %q is there: %t\n%s%s", i+1, step.args, advice, got, stdout, stderr)
			}
		}
	}
}

func TestOneEnabledLeftoverAmongDisabledOnesCanStillBeDisabled(t *testing.T) {
	var known []int64
	s, address := damaged(t, legacy.Options{}, &known)
	s.Serve(legacy.Input{Call: "disableJob", Params: map[string]string{"jobId": "1", "appId": "1"}})
	if _, stdout, _ := asApp1(address); !strings.Contains(stdout, "Then add --disable or --delete.") {
		t.Errorf("the enabled leftovers are forgotten:\n%s", stdout)
	}
}

func TestAnInterruptionEndsAfterTheCallUnderWay(t *testing.T) {
	path := shimtest.Binary(t)
	const pairs = 500 // more than can be changed before a signal arrives
	started := make(chan *os.Process, 1)
	var once sync.Once
	s, address := startServer(t, legacy.Options{Fault: func(r legacy.Request) (f legacy.Fault) {
		if r.Call == "deleteJob" {
			once.Do(func() {
				if err := (<-started).Signal(os.Interrupt); err != nil {
					t.Error(err)
				}
			})
		}
		return f
	}})
	for i := range 2 * pairs {
		save(t, s, fmt.Sprint("job ", i/2))
	}
	p := exec.CommandContext(t.Context(), path, "duplicates", address, "--app", "app1", "--password-env", "PASSWORD", "--delete", "--yes")
	p.Env = []string{"PASSWORD=pw"}
	var out strings.Builder
	p.Stdout = &out
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	started <- p.Process
	_ = p.Wait()
	deleted, told := s.Executed("deleteJob"), strings.Count(out.String(), " deleted\n")
	untried := strings.Count(out.String(), " failed: not tried: interrupted\n")
	if code := p.ProcessState.ExitCode(); code != 1 || deleted == 0 || told != deleted || deleted+untried != pairs || untried == 0 {
		t.Errorf("%d: %d jobs deleted, %d told as deleted, %d as not tried, of %d", code, deleted, told, untried, pairs)
	}
}

func TestTheProcessEndsWithAnExitCodeForScripts(t *testing.T) {
	var known []int64
	_, address := damaged(t, legacy.Options{}, &known)
	environ := []string{"PASSWORD=pw"}
	args := []string{"duplicates", address, "--app", "app1", "--password-env", "PASSWORD"}
	for _, step := range []struct {
		args []string
		code int
	}{
		{args[:4], 2},
		{args, 3},
		{append(args[:len(args):len(args)], "--delete"), 1}, // nobody answers the question
		{append(args[:len(args):len(args)], "--delete", "--yes"), 0},
		{args, 0},
	} {
		if p := launch(t, environ, step.args...); p.Exit(t) != step.code {
			t.Errorf("%v: %d, want %d\n%s", step.args, p.Exit(t), step.code, p.Log())
		}
	}
}
