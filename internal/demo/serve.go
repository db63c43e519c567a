package demo

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"powerjob-shim/internal/address"
	"powerjob-shim/internal/standin/client"
	"powerjob-shim/internal/standin/legacy"
)

// standIns are the servers that Serve can stand in for, by name.
var standIns = map[string]struct {
	mode legacy.Mode
	is   string
}{
	"5.1.0": {legacy.Legacy, "a 5.1.0 server with its OpenAPI check off: 5.x clients send everything twice"},
	"5.1.1": {legacy.Patched, "a 5.1.1 server with its check off: it sends the header itself"},
	"auth":  {legacy.CheckOn, "a 5.1.0 server with its check on: it asks for tokens"},
	"5.0":   {legacy.NoAuthApp, "a 5.0 beta server, which has no authApp: 5.x clients cannot log in"},
	"4.x":   {legacy.NoAuthApp, "a 4.x server, which has no authApp: 5.x clients cannot log in"},
}

// Servers returns the names that Serve takes.
func Servers() []string { return slices.Sorted(maps.Keys(standIns)) }

// InputError says that Serve's arguments are wrong.
type InputError struct{ error }

func (e InputError) Unwrap() error { return e.error }

// Serve runs a stand-in server until ctx ends, and prints each change when it is
// executed. as is one of Servers.
func Serve(ctx context.Context, out io.Writer, listen, as string) error {
	standIn, ok := standIns[as]
	if !ok {
		return InputError{fmt.Errorf("--as is %q; write 5.1.0, 5.1.1, auth, 5.0 or 4.x", as)}
	}
	log := &executionLog{out: out}
	server := legacy.New(legacy.Options{Mode: standIn.mode})
	log.server = server
	url, err := server.StartBehind(listen, log.follow)
	if err != nil {
		return InputError{fmt.Errorf("--serve %s: %w", listen, err)}
	}
	defer func() { _ = server.Close() }() // the process is ending
	url = "http://" + address.Local(strings.TrimPrefix(url, "http://"))
	fmt.Fprintf(out, `A stand-in server, not a real PowerJob, is at %s. It answers like %s.
It has the app %s with the password %s, keeps everything in memory, and ends with Ctrl-C.
`, url, standIn.is, App, Password)
	if as == "5.1.0" {
		fmt.Fprintf(out, "\nA 5.1.0 client saves a job and copies it, straight to the server, so that there is something to find:\n\n")
		if err := leaveDuplicates(url); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, `
Now try, in another terminal:
  powerjob-shim doctor %[1]s
  powerjob-shim run --listen 127.0.0.1:7700 --upstream %[1]s
  printf %[3]s > password.txt && powerjob-shim duplicates %[1]s --app %[2]s --password-file password.txt

What it executes from here on:

`, url, App, Password)
	<-ctx.Done()
	return nil
}

// leaveDuplicates makes two calls as the Java client does. On a 5.1.0 server
// each of them leaves two jobs.
func leaveDuplicates(url string) error {
	transport := &client.SocketTransport{}
	defer transport.CloseIdle()
	c, err := newClient(strings.TrimPrefix(url, "http://"), transport)
	if err != nil {
		return fmt.Errorf("logging in to the stand-in: %w", err)
	}
	if _, err := c.Call("saveJob", client.Params{"jobName": "nightly report"}); err != nil {
		return fmt.Errorf("saving a job on the stand-in: %w", err)
	}
	if _, err := c.Call("copyJob", client.Params{"jobId": 2}); err != nil {
		return fmt.Errorf("copying a job on the stand-in: %w", err)
	}
	return nil
}

// executionLog prints what a stand-in executes, each change once and in order.
type executionLog struct {
	server *legacy.Server
	mu     sync.Mutex // protects what follows: requests come in parallel
	out    io.Writer
	told   int // executions that have been printed
}

// follow prints the new executions after each request that next serves.
func (l *executionLog) follow(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer l.tell()
		next.ServeHTTP(w, r)
	})
}

func (l *executionLog) tell() {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.server.Executions()
	table := tabwriter.NewWriter(l.out, 12, 0, 2, ' ', 0)
	for i := l.told; i < len(all); i++ {
		fmt.Fprintln(table, describe(all[:i+1]))
	}
	l.told = len(all)
	_ = table.Flush() // it fails only if the terminal is gone
}

// describe returns a line about the last of all executions.
func describe(all []legacy.Execution) string {
	e := all[len(all)-1]
	line := fmt.Sprintf("%s\texecution %d\t%s", e.Time.Format(time.TimeOnly), e.Seq, e.Call)
	if e.Subject != 0 {
		line += fmt.Sprintf(" %d", e.Subject)
	}
	if e.Result != 0 {
		line += fmt.Sprintf(" made %d", e.Result)
	}
	for i := len(all) - 2; i >= 0 && e.Time.Sub(all[i].Time) < 5*time.Second; i-- {
		if all[i].Call == e.Call && all[i].Input == e.Input && all[i].Token != e.Token {
			return line + fmt.Sprintf("\tthe same as execution %d, with another token", all[i].Seq)
		}
	}
	return line
}
