package main

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"powerjob-shim/internal/demo"
	"powerjob-shim/proxy"
	"powerjob-shim/proxy/listen"
	"powerjob-shim/proxy/upstream"
	"powerjob-shim/rules"
	"powerjob-shim/rules/openapi"
)

// The rules of default.yaml, one by one.
var (
	headerRule = rules.Rule{Name: "auth-passed", Paths: []string{"/openApi/*"}, Header: &rules.Header{Name: openapi.AuthHeader, Value: "true"}}
	saveRule   = rules.Rule{Name: "save-job", Paths: []string{"/openApi/saveJob"}, Dedup: &rules.Dedup{Match: rules.MatchBody, Window: 5 * time.Second}}
	otherRule  = rules.Rule{Name: "other-changes", Paths: []string{"/openApi/*"}, Dedup: &rules.Dedup{Match: rules.MatchResend, Window: 5 * time.Second}}
)

// shimWith starts a real proxy with the rules given.
func shimWith(list ...rules.Rule) demo.StartShim { return shimFor("", list...) }

// shimFor starts a shim in this process that serves one host; "": every host.
func shimFor(host string, list ...rules.Rule) demo.StartShim {
	return func(address string) (string, func(), error) {
		set, err := rules.Compile(list)
		if err != nil {
			return "", nil, err
		}
		server, err := url.Parse(address)
		if err != nil {
			return "", nil, err
		}
		settings := proxy.Settings{
			Upstreams: map[string]proxy.Upstream{"default": {Settings: upstream.Settings{Servers: []*url.URL{server}}}}, Rules: set,
		}
		if host != "" {
			settings.Routes = []proxy.Route{{Name: "only", Hosts: []string{host}, Upstream: "default"}}
		}
		p, err := proxy.New(proxy.Options{}, settings)
		if err != nil {
			return "", nil, err
		}
		s, err := p.Listen(proxy.Listeners{Clients: []listen.Listener{{Address: "127.0.0.1:0"}}})
		if err != nil {
			return "", nil, err
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = s.Serve(ctx, ctx) // an error: stop cuts it off
		}()
		return s.Addrs()[0].String(), func() { cancel(); <-done }, nil
	}
}

// rows returns the table's lines by call, with single spaces.
func rows(table string) map[string]string {
	byCall := map[string]string{}
	for line := range strings.Lines(table) {
		if f := strings.Fields(line); len(f) == 8 {
			byCall[f[0]] = strings.Join(f[1:], " ")
		}
	}
	return byCall
}

func TestTheDemoShowsEveryCallExecutedOnceThroughTheShim(t *testing.T) {
	var out strings.Builder
	if err := demo.Run(&out, startInProcess, false); err != nil {
		t.Error(err)
	}
	got := rows(out.String())
	for _, name := range demo.Calls() {
		want := "3 6 9 - 3 3 -"
		switch name {
		case "saveJob":
			continue // below
		case "stopInstance", "cancelInstance", "retryInstance", "stopWfInstance", "retryWfInstance", "markWorkflowNodeAsSuccess":
			want = "3 3 9 3 3 3 -" // the server refuses the repetition
		}
		if got[name] != want {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
	}
	if want := "3 6 9 - 3 3 -"; got["saveJob"] != want {
		t.Errorf("saveJob: %q, want %q", got["saveJob"], want)
	}
	if want := "57 96 171 18 57 57 -"; got["all"] != want {
		t.Errorf("all: %q, want %q", got["all"], want)
	}
	if want := "With the shim every call was executed exactly once."; !strings.Contains(out.String(), want) {
		t.Errorf("%q is missing in\n%s", want, out.String())
	}
	if want := "a stand-in inside this process, not a real PowerJob"; !strings.Contains(out.String(), want) {
		t.Errorf("%q is missing in\n%s", want, out.String())
	}
	for line := range strings.Lines(out.String()) {
		if len(line) > 121 {
			t.Errorf("a line of %d characters: %s", len(line), line)
		}
	}
}

func TestWithoutTheRulesTheDemoShowsDoublesAndFails(t *testing.T) {
	var out strings.Builder
	err := demo.Run(&out, shimWith(), false)
	if err == nil || !strings.Contains(err.Error(), "saveJob (3 calls, 6 executed, 0 failed)") {
		t.Errorf("error %v", err)
	}
	if got, want := rows(out.String())["all"], "57 96 171 18 96 171 18"; got != want {
		t.Errorf("all: %q, want %q", got, want)
	}
	if strings.Contains(out.String(), "exactly once") {
		t.Errorf("it claims success:\n%s", out.String())
	}
}

func TestWithTheHeaderRuleAloneEveryCallIsMadeOnce(t *testing.T) {
	var out strings.Builder
	if err := demo.Run(&out, shimWith(headerRule), false); err != nil {
		t.Error(err)
	}
}

func TestWithoutTheHeaderRuleDeduplicationStillDropsTheRepetitions(t *testing.T) {
	var out strings.Builder
	if err := demo.Run(&out, shimWith(saveRule, otherRule), false); err != nil {
		t.Error(err)
	}
	if got, want := rows(out.String())["all"], "57 96 171 18 57 114 -"; got != want {
		t.Errorf("all: %q, want %q: the logins are still there", got, want)
	}
}

func TestTheDemoReportsAShimThatDoesNotStart(t *testing.T) {
	broken := errors.New("no port")
	err := demo.Run(&strings.Builder{}, func(string) (string, func(), error) { return "", nil, broken }, false)
	if !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

func TestTheDemoMakesEveryChangingCallOfThe510Client(t *testing.T) {
	var want []string
	for _, c := range openapi.Calls() {
		if c.Kind == openapi.Change && c.Name != "runJob2" {
			want = append(want, c.Name)
		}
	}
	if got := demo.Calls(); !slices.Equal(got, want) {
		t.Errorf("the demo makes %v, the catalogue has %v", got, want)
	}
}
