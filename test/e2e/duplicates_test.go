package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"testing"

	"powerjob-shim/internal/shimtest"
)

// TestDuplicatesRepairsARealServer has the real 5.1.0 client make jobs on a
// real 4.3.9 server that executes its calls twice, and then repairs that.
func TestDuplicatesRepairsARealServer(t *testing.T) {
	app := needRealServer(t).newApp(t)
	stub := startAuthStub(t, app)
	client := newClient(t, v510, app.account, stub.address)
	nightly := client.must(t, 0, "saveJob", job("nightly")).id(t)
	hourly := client.must(t, 0, "saveJob", job("hourly")).id(t)
	copied := client.must(t, 0, "copyJob", nightly).id(t)
	gone := client.must(t, 0, "saveJob", job("gone")).id(t)
	client.must(t, 0, "deleteJob", gone)

	type finding struct {
		Kind, Name     string
		Leftover, Twin int64
		Result         string
	}
	want := []finding{
		{"pair", "nightly", nightly - 1, nightly, ""},
		{"pair", "hourly", hourly - 1, hourly, ""},
		{"pair", "nightly_COPY", copied - 1, copied, ""},
		{"alone", "gone", gone - 1, gone, ""},
	}
	look := func(address string, args ...string) []finding {
		t.Helper()
		code, stdout := duplicates(t, address, app.account, append(args, "--format", "json")...)
		var got struct{ Findings []finding }
		if err := json.Unmarshal(stdout, &got); err != nil || code != 3 {
			t.Fatalf("%v: %d, %v\n%s", args, code, err, stdout)
		}
		return got.Findings
	}
	for login, address := range map[string]string{"assert": app.server.address, "authApp": stub.address} {
		if got := look(address); !slices.Equal(got, want) {
			t.Errorf("logged in by %s: found\n%v, want\n%v", login, got, want)
		}
	}
	if got := app.count(t, "/job/list"); got != 7 {
		t.Errorf("looking left %d jobs, want 7", got)
	}
	for i := range 3 {
		want[i].Result = "done"
	}
	before := stub.count("deleteJob")
	if got := look(stub.address, "--delete", "--yes"); !slices.Equal(got, want) {
		t.Errorf("changed\n%v, want\n%v", got, want)
	}
	if got := stub.count("deleteJob") - before; got != 3 {
		t.Errorf("deleteJob was sent %d times, want 3", got)
	}
	for id, want := range map[int64]int{nightly - 1: 99, nightly: 1, hourly - 1: 99, hourly: 1, copied - 1: 99, copied: 1, gone - 1: 1, gone: 99} {
		var job struct{ Status int }
		if err := json.Unmarshal(client.must(t, 0, "fetchJob", id).Data, &job); err != nil || job.Status != want {
			t.Errorf("job %d has status %d, want %d; %v", id, job.Status, want, err)
		}
	}
	if got := look(stub.address); !slices.Equal(got, []finding{want[3]}) {
		t.Errorf("afterwards: found %v", got)
	}
}

// duplicates runs the program.
func duplicates(t *testing.T, address string, app account, args ...string) (code int, stdout []byte) {
	t.Helper()
	path := shimtest.Binary(t)
	cmd := exec.CommandContext(t.Context(), path, append([]string{"duplicates", "http://" + address, "--app", app.name, "--password-env", "PASSWORD"}, args...)...)
	cmd.Env = []string{fmt.Sprint("PASSWORD=", app.password)}
	stdout, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), stdout
}
