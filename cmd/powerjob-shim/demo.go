package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"powerjob-shim/internal/client"
	"powerjob-shim/internal/legacy"
)

// startShim starts a shim in this process in front of one upstream URL, on a
// free port of the loopback interface, and returns its "host:port".
type startShim func(upstream string) (address string, stop func(), err error)

// demoTimes is how often the demo makes each call.
const demoTimes = 3

func newDemoCmd(start startShim) *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Show what a legacy server executes without and with the shim; needs no server",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return demo(cmd.OutOrStdout(), start) },
	}
}

// tally is what the stand-in's own log says about one call, made demoTimes.
type tally struct {
	executed int // changes that took effect
	requests int // requests that it took, logins included
	failed   int // calls whose caller was told that they failed
}

// demo makes every changing call with and without the shim and prints the
// tallies. The error says that the shim did not do its work.
func demo(out io.Writer, start startShim) error {
	direct, err := tallyCalls(func(server string) (string, func(), error) {
		return strings.TrimPrefix(server, "http://"), func() {}, nil
	})
	if err != nil {
		return fmt.Errorf("running the demo without the shim: %w", err)
	}
	through, err := tallyCalls(start)
	if err != nil {
		return fmt.Errorf("running the demo through the shim: %w", err)
	}
	_, err = io.WriteString(out, demoTable(direct, through))
	return errors.Join(err, judge(through))
}

// tallyCalls makes all calls through what connect puts in front of a fresh
// stand-in.
func tallyCalls(connect startShim) (_ []tally, err error) {
	server := legacy.New(legacy.Options{Mode: legacy.Legacy})
	url, err := server.Start()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	address, stop, err := connect(url)
	if err != nil {
		return nil, err
	}
	defer stop()
	transport := &client.SocketTransport{}
	defer transport.CloseIdle()
	c, err := client.New(client.Config{Addresses: []string{address}, AppName: "app1", Password: "pw", Transport: transport})
	if err != nil {
		return nil, err
	}
	s := &scene{server: server}
	s.set("saveJob", `{"appId":1,"jobName":"job"}`)
	s.set("saveWorkflow", `{"appId":1,"wfName":"workflow"}`)
	s.set("addWorkflowNode", `[{"appId":1,"workflowId":1,"jobId":1,"nodeName":"node"}]`)
	var tallies []tally
	for _, call := range demoCalls {
		var t tally
		for i := range demoTimes {
			params := call.params(s, i)
			executed, requests := server.Executed(call.name), server.Received("")
			answer, err := c.Call(call.name, params)
			if err != nil {
				return nil, fmt.Errorf("calling %s: %w", call.name, err)
			}
			if !answer.Success {
				t.failed++
			}
			t.executed += server.Executed(call.name) - executed
			t.requests += server.Received("") - requests
		}
		tallies = append(tallies, t)
	}
	return tallies, s.err
}

func demoTable(direct, through []tally) string {
	var b strings.Builder
	fmt.Fprintf(&b, `powerjob-shim demo

The server here is a stand-in inside this process, not a real PowerJob: it answers like a 5.1.0 server with its OpenAPI
check off (the default), and logs what it executes. The client is a Go port of the Java client 5.1.0's call sequence.
Each call is made %d times, straight to the server and through a shim with the built-in configuration.
All numbers are from the stand-in's own log.

                                       WITHOUT THE SHIM                  WITH THE SHIM
call                       calls   executed  requests  failed     executed  requests  failed
`, demoTimes)
	row := func(name string, calls int, d, t tally) {
		fmt.Fprintf(&b, "%-25s  %5d   %8d  %8d  %6s     %8d  %8d  %6s\n",
			name, calls, d.executed, d.requests, dash(d.failed), t.executed, t.requests, dash(t.failed))
	}
	var sumDirect, sumThrough tally
	for i, call := range demoCalls {
		row(call.name, demoTimes, direct[i], through[i])
		sumDirect.add(direct[i])
		sumThrough.add(through[i])
	}
	b.WriteString(strings.Repeat("-", 94) + "\n")
	row("all", demoTimes*len(demoCalls), sumDirect, sumThrough)
	b.WriteString(`
executed: changes that took effect. requests: all that reached the server, logins included.
failed: calls that took effect while their caller was told that they failed (the server refused the repetition).
`)
	if judge(through) == nil {
		b.WriteString("\nWith the shim every call was executed exactly once.\n")
	}
	return b.String()
}

func (t *tally) add(o tally) {
	t.executed += o.executed
	t.requests += o.requests
	t.failed += o.failed
}

func dash(n int) string {
	if n == 0 {
		return "-"
	}
	return strconv.Itoa(n)
}

// judge returns an error that names the calls which were not executed once.
func judge(through []tally) error {
	var wrong []string
	for i, call := range demoCalls {
		if t := through[i]; t.executed != demoTimes || t.failed != 0 {
			wrong = append(wrong, fmt.Sprintf("%s (%d calls, %d executed, %d failed)", call.name, demoTimes, t.executed, t.failed))
		}
	}
	if wrong != nil {
		return fmt.Errorf("the shim did not make these calls execute exactly once: %s", strings.Join(wrong, ", "))
	}
	return nil
}
