// Package demo shows what a legacy server executes without and with a shim, on
// the stand-in server and with the port of the Java client:
//
//	err := demo.Run(os.Stdout, start, false)
//
// Serve runs only the stand-in server, to try the other commands on it.
package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"powerjob-shim/internal/standin/client"
	"powerjob-shim/internal/standin/legacy"
)

// StartShim starts a shim in this process in front of one upstream URL, on a
// free port of the loopback interface, and returns its "host:port".
type StartShim func(upstream string) (address string, stop func(), err error)

// The one app of the stand-in server.
const (
	App      = "app1"
	Password = "pw"
)

// newClient makes a client object as a Java process would; that logs in.
func newClient(address string, transport client.Transport) (*client.Client, error) {
	return client.New(client.Config{Addresses: []string{address}, AppName: App, Password: Password, Transport: transport})
}

// perCall is how often each call is made.
const perCall = 3

// tally is what the stand-in's own log says about one of calls, made perCall times.
type tally struct {
	Executed int `json:"executed"` // changes that took effect
	Requests int `json:"requests"` // requests, logins included
	Failed   int `json:"failed"`   // calls whose caller was told that they failed
}

// Run makes every changing call with and without the shim and prints the tallies, as
// a table or as JSON. The error is not nil if a call was not executed exactly once
// with the shim.
func Run(out io.Writer, start StartShim, asJSON bool) error {
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
	if asJSON {
		err = writeJSON(out, direct, through)
	} else {
		_, err = io.WriteString(out, table(direct, through))
	}
	return errors.Join(err, judge(through))
}

// writeJSON prints the content of table for programs.
func writeJSON(out io.Writer, direct, through []tally) error {
	type row struct {
		Call   string `json:"call"`
		Calls  int    `json:"calls"`
		Direct tally  `json:"direct"`
		Shim   tally  `json:"shim"`
	}
	report := struct {
		Server string `json:"server"`
		Once   bool   `json:"executed_once_with_the_shim"`
		Rows   []row  `json:"calls"`
	}{"stand-in for 5.1.0, check off", judge(through) == nil, nil}
	for i, call := range calls {
		report.Rows = append(report.Rows, row{call.name, perCall, direct[i], through[i]})
	}
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(report)
}

// tallyCalls makes all calls to a new stand-in, through what connect puts in front of
// it.
func tallyCalls(connect StartShim) (_ []tally, err error) {
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
	c, err := newClient(address, transport)
	if err != nil {
		return nil, err
	}
	s := &scene{server: server}
	s.set("saveJob", `{"appId":1,"jobName":"job"}`)
	s.set("saveWorkflow", `{"appId":1,"wfName":"workflow"}`)
	s.set("addWorkflowNode", `[{"appId":1,"workflowId":1,"jobId":1,"nodeName":"node"}]`)
	var tallies []tally
	for _, call := range calls {
		var t tally
		for i := range perCall {
			params := call.params(s, i)
			executed, requests := server.Executed(call.name), server.Received("")
			answer, err := c.Call(call.name, params)
			if err != nil {
				return nil, fmt.Errorf("calling %s: %w", call.name, err)
			}
			if !answer.Success {
				t.Failed++
			}
			t.Executed += server.Executed(call.name) - executed
			t.Requests += server.Received("") - requests
		}
		tallies = append(tallies, t)
	}
	return tallies, s.err
}

func table(direct, through []tally) string {
	var b strings.Builder
	fmt.Fprintf(&b, `powerjob-shim demo

The server here is a stand-in inside this process, not a real PowerJob: it answers like a 5.1.0 server with its OpenAPI
check off (the default), and logs what it executes. The client is a Go port of the Java client 5.1.0's call sequence.
Each call is made %d times, straight to the server and through a shim with the built-in configuration.
All numbers are from the stand-in's own log.

                                       WITHOUT THE SHIM                  WITH THE SHIM
call                       calls   executed  requests  failed     executed  requests  failed
`, perCall)
	row := func(name string, calls int, d, t tally) {
		fmt.Fprintf(&b, "%-25s  %5d   %8d  %8d  %6s     %8d  %8d  %6s\n",
			name, calls, d.Executed, d.Requests, dash(d.Failed), t.Executed, t.Requests, dash(t.Failed))
	}
	var sumDirect, sumThrough tally
	for i, call := range calls {
		row(call.name, perCall, direct[i], through[i])
		sumDirect.add(direct[i])
		sumThrough.add(through[i])
	}
	b.WriteString(strings.Repeat("-", 94) + "\n")
	row("all", perCall*len(calls), sumDirect, sumThrough)
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
	t.Executed += o.Executed
	t.Requests += o.Requests
	t.Failed += o.Failed
}

func dash(n int) string {
	if n == 0 {
		return "-"
	}
	return strconv.Itoa(n)
}

// judge returns an error that names the calls that were not executed exactly once.
func judge(through []tally) error {
	var wrong []string
	for i, call := range calls {
		if t := through[i]; t.Executed != perCall || t.Failed != 0 {
			wrong = append(wrong, fmt.Sprintf("%s (%d calls, %d executed, %d failed)", call.name, perCall, t.Executed, t.Failed))
		}
	}
	if wrong != nil {
		return fmt.Errorf("the shim did not make these calls execute exactly once: %s", strings.Join(wrong, ", "))
	}
	return nil
}
