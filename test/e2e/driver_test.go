package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"powerjob-shim/internal/children"
)

// javaFlags make a short-lived JVM start fast and stay small.
var javaFlags = []string{"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx256m"}

// javaClient is one real PowerJobClient object in a process of its own. Its
// methods may be called from many goroutines.
type javaClient struct {
	stdin      io.WriteCloser
	stderr     *bytes.Buffer // to be read after the end
	oneAtATime bool          // the threads take turns; set before the calls
	turn       sync.Mutex

	mu      sync.Mutex // protects what follows
	next    int
	pending map[int]chan result
	called  map[string]int // logical calls so far, by OpenAPI name
	ended   bool
}

// result is how a call of the client's method ended: what it returned, or what
// it threw.
type result struct {
	ID        int
	Success   bool
	Data      json.RawMessage
	Message   string
	Exception string
}

func (r result) String() string {
	if r.Exception != "" {
		return "throws " + r.Exception
	}
	return fmt.Sprintf("success=%t data=%s message=%q", r.Success, r.Data, r.Message)
}

// id is the answer's data where that is an id; else it is 0 and the test fails.
func (r result) id(t *testing.T) int64 {
	t.Helper()
	var id int64
	if err := json.Unmarshal(r.Data, &id); err != nil || id == 0 {
		t.Errorf("no id in %v", r)
	}
	return id
}

// patientFlags give a client that waits longer than its own 2 s, which a busy
// machine may need. Where the timeout matters, clients are as they are.
var patientFlags = append(javaFlags[:len(javaFlags):len(javaFlags)], "-Dtimeout=30")

// newClient starts a process with a client of that version, logged in to an
// app at these addresses.
func newClient(t testing.TB, version string, app account, addresses ...string) *javaClient {
	t.Helper()
	c, constructed := startClient(t, version, app, addresses...)
	if constructed.Exception != "" {
		t.Fatalf("constructing the client %s: %s", version, constructed.Exception)
	}
	return c
}

// startClient is newClient for a constructor that may throw.
func startClient(t testing.TB, version string, app account, addresses ...string) (*javaClient, result) {
	t.Helper()
	return startClientWith(t, patientFlags, version, app, addresses...)
}

func startClientWith(t testing.TB, flags []string, version string, app account, addresses ...string) (*javaClient, result) {
	t.Helper()
	args := append(flags[:len(flags):len(flags)], "-cp", classpath(t, "client-"+version), "Driver", strings.Join(addresses, ","), app.name, app.password)
	cmd := exec.Command("java", args...)
	children.DieWithUs(cmd)
	c := &javaClient{stderr: new(bytes.Buffer), pending: map[int]chan result{0: make(chan result, 1)}, called: map[string]int{}}
	cmd.Stderr = c.stderr
	constructed := c.pending[0]
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if c.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() { defer close(read); c.read(stdout) }()
	t.Cleanup(func() {
		_ = c.stdin.Close() // ends the process, if it has not ended yet
		<-read
		if err := cmd.Wait(); err != nil && !t.Failed() {
			t.Errorf("the client's process: %v\n%s", err, c.stderr)
		}
	})
	return c, <-constructed
}

// read hands each answer to the call that waits for it.
func (c *javaClient) read(stdout io.Reader) {
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var r result
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			r.Exception = fmt.Sprintf("the driver wrote %q", lines.Text())
		}
		c.mu.Lock()
		waiting := c.pending[r.ID]
		delete(c.pending, r.ID)
		c.mu.Unlock()
		if waiting != nil {
			waiting <- r
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	for _, waiting := range c.pending {
		waiting <- result{Exception: "the client's process ended"}
	}
}

// call calls a method of the client on one of its Java threads and waits for
// the end. Calls on the same thread run one after another; with oneAtATime, all
// calls do.
func (c *javaClient) call(thread int, method string, args ...any) result {
	if args == nil {
		args = []any{}
	}
	if c.oneAtATime {
		c.turn.Lock()
		defer c.turn.Unlock()
	}
	done := make(chan result, 1)
	c.mu.Lock()
	c.next++
	id := c.next
	c.pending[id] = done
	c.called[openAPIName(method)]++
	line, err := json.Marshal(map[string]any{"id": id, "thread": thread, "method": method, "args": args})
	if err == nil && c.ended {
		err = fmt.Errorf("the client's process has ended")
	}
	if err == nil {
		_, err = c.stdin.Write(append(line, '\n'))
	}
	c.mu.Unlock()
	if err != nil {
		return result{Exception: err.Error()}
	}
	select {
	case r := <-done:
		return r
	case <-time.After(patience):
		return result{Exception: "no answer from the driver"}
	}
}

// must is call for what has to succeed.
func (c *javaClient) must(t *testing.T, thread int, method string, args ...any) result {
	t.Helper()
	r := c.call(thread, method, args...)
	if r.Exception != "" || !r.Success {
		t.Errorf("%s %v: %v", method, args, r)
	}
	return r
}

// calls returns how often each changing call was made, by OpenAPI name.
func (c *javaClient) calls() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.called)
}

// openAPIName is the path's last part for a method of the client.
func openAPIName(method string) string {
	switch method {
	case "saveWorkflowNode":
		return "addWorkflowNode"
	case "stopWorkflowInstance":
		return "stopWfInstance"
	case "retryWorkflowInstance":
		return "retryWfInstance"
	case "fetchWorkflowInstanceInfo":
		return "fetchWfInstanceInfo"
	case "queryInstanceInfo":
		return "queryInstance"
	}
	return method
}
