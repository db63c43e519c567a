package main

import (
	"context"
	"encoding/json"
	"io"
	"regexp"
	"strings"
	"testing"

	"powerjob-shim/internal/demo"
)

func TestTheDemoAsJSON(t *testing.T) {
	code, stdout, stderr := execute(nil, "demo", "--json")
	var got struct {
		Once  bool `json:"executed_once_with_the_shim"`
		Calls []struct {
			Call         string
			Calls        int
			Direct, Shim struct{ Executed, Requests, Failed int }
		}
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != 0 || stderr != "" {
		t.Fatalf("%d, %q, %v", code, stderr, err)
	}
	if !got.Once || len(got.Calls) != 19 || got.Calls[0].Call != "saveJob" || got.Calls[0].Direct.Executed != 6 || got.Calls[0].Shim.Executed != 3 || got.Calls[0].Shim.Requests != 3 {
		t.Errorf("got %+v", got)
	}
}

// served runs demo --serve in this process until the test ends.
func served(t *testing.T, as string) (url string, lines func(want string) string) {
	t.Helper()
	read, write := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- demo.Serve(ctx, write, "127.0.0.1:0", as)
		_ = write.Close()
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	printed := make(chan string, 1000) // more lines than a test makes it print, so that it never waits
	go func() {
		defer close(printed)
		buf := make([]byte, 4096)
		for {
			n, err := read.Read(buf)
			if err != nil {
				return
			}
			printed <- string(buf[:n])
		}
	}()
	var text strings.Builder
	lines = func(want string) string {
		t.Helper()
		for !regexp.MustCompile(want).MatchString(text.String()) {
			more, ok := <-printed
			if !ok {
				t.Fatalf("it ended before %q in:\n%s", want, &text)
			}
			text.WriteString(more)
		}
		return text.String()
	}
	start := lines(`from here on:`)
	return regexp.MustCompile(`http://[0-9.]+:[0-9]+`).FindString(start), lines
}

func TestTheServedDemoIsWhatTheOtherCommandsCanBeTriedOn(t *testing.T) {
	url, lines := served(t, "5.1.0")
	if code, stdout, _ := execute(nil, "doctor", url); code != 1 || !strings.Contains(stdout, "AFFECTED") {
		t.Errorf("doctor: %d, %s", code, stdout)
	}
	code, stdout, stderr := execute([]string{"PW=pw"}, "duplicates", url, "--app", demo.App, "--password-env", "PW")
	if code != 3 || !strings.Contains(stdout, "LEFTOVER: 2 pairs.") {
		t.Errorf("duplicates: %d, %s%s", code, stdout, stderr)
	}
	lines(`execution 2 +saveJob made 2 +the same as execution 1, with another token\n(.|\n)*execution 4 +copyJob 2 made 4 +the same as execution 3`)
	if code, _, stderr := execute([]string{"PW=pw"}, "duplicates", url, "--app", demo.App, "--password-env", "PW", "--disable", "--yes"); code != 0 {
		t.Errorf("disabling: %d, %s", code, stderr)
	}
	lines(`disableJob 3`)
}

func TestEveryStandInCanBeServed(t *testing.T) {
	for _, as := range demo.Servers() {
		t.Run(as, func(t *testing.T) {
			url, _ := served(t, as)
			_, stdout, _ := execute(nil, "doctor", url)
			if want := map[string]string{"5.1.1": "HEALTHY", "auth": "HEALTHY"}[as]; !strings.Contains(stdout, want) || want == "" && strings.Contains(stdout, "HEALTHY") {
				t.Errorf("doctor says %s", stdout)
			}
		})
	}
	if code, _, stderr := execute(nil, "demo", "--serve", "127.0.0.1:0", "--as", "6"); code != 2 || !strings.Contains(stderr, "write 5.1.0, 5.1.1, auth, 5.0 or 4.x") {
		t.Errorf("%d, %q", code, stderr)
	}
}
