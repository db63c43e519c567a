// Package shimtest runs the program as a child process, for tests.
//
//	func TestMain(m *testing.M) { os.Exit(shimtest.Main(m)) }
//
//	p := shimtest.Start(t, shimtest.Command(t, "run", "--listen", "127.0.0.1:0", ...)).Started(t)
//	http.Get("http://" + p.Listen)
//
// A child is killed at its test's end, and its log is shown if the test failed.
package shimtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"powerjob-shim/internal/await"
	"powerjob-shim/internal/children"
)

// built is the directory that build has made; "": no test has asked for the program.
var built string

// build makes the program once, as users run it: without the race detector,
// which would multiply its memory.
var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "powerjob-shim")
	if err != nil {
		return "", err
	}
	built = dir
	path := filepath.Join(dir, "powerjob-shim")
	cmd := exec.Command("go", "build", "-ldflags", "-X main.version=v0.0.0-test", "-o", path, "powerjob-shim/cmd/powerjob-shim") //nolint:gosec // a test's own arguments
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the program: %w\n%s", err, out)
	}
	return path, nil
})

// Main runs the tests, removes the program if they have built it, and returns the exit
// code.
func Main(m *testing.M) int {
	defer func() {
		if built != "" {
			_ = os.RemoveAll(built)
		}
	}()
	return m.Run()
}

// Binary returns the path of the program, which is built at the first call. Its
// version is v0.0.0-test. It may be called from several tests at once.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Command returns the program with these arguments.
func Command(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	return exec.Command(Binary(t), args...) //nolint:gosec // a test's own arguments
}

// Process is a child process. Its methods may be called from any goroutine,
// except for those that take a test.
type Process struct {
	// The addresses, once Started has returned: the first listener's, all
	// listeners', and the admin listener's.
	Listen    string
	Listeners []string
	Admin     string

	// Ended is closed when the process has ended.
	Ended <-chan struct{}

	cmd *exec.Cmd
	log *log
}

// Start starts a child process, usually one of Command. Its environment has only
// cmd.Env and the tests' PATH, so that nothing configures it by accident. If
// cmd.Stderr is nil, Start keeps what the child writes there as its log; otherwise Log
// is empty.
func Start(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	ended := make(chan struct{})
	p := &Process{Ended: ended, cmd: cmd, log: &log{}}
	if cmd.Stderr == nil {
		cmd.Stderr = p.log
	}
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, cmd.Env...)
	children.DieWithUs(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(ended)
		_ = cmd.Wait() // Exit returns the exit code
	}()
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			lines := strings.SplitAfter(p.Log(), "\n")
			t.Logf("the log of %s, its end:\n%s", filepath.Base(cmd.Path), strings.Join(lines[max(0, len(lines)-200):], ""))
		}
	})
	return p
}

// Started waits until the process listens and returns the process itself.
func (p *Process) Started(t testing.TB) *Process {
	t.Helper()
	line := p.WaitFor(t, "started")
	for _, address := range line["listen"].([]any) {
		p.Listeners = append(p.Listeners, address.(string))
	}
	p.Listen, p.Admin = p.Listeners[0], line["admin"].(string)
	return p
}

// WaitFor returns the first log line with that message, and waits for it.
func (p *Process) WaitFor(t testing.TB, msg string) map[string]any {
	t.Helper()
	var found map[string]any
	over, seen := false, 0
	await.That(t, "the log says "+msg, func() bool {
		select {
		case <-p.Ended:
			over = true // the log is complete
		default:
		}
		found = p.log.next(msg, &seen)
		return found != nil || over
	}, p.Log)
	if found == nil {
		t.Fatalf("the process ended and its log does not say %q:\n%s", msg, p.Log())
	}
	return found
}

// Log returns what the process has written to its standard error so far.
func (p *Process) Log() string {
	p.log.mu.Lock()
	defer p.log.mu.Unlock()
	return string(p.log.text)
}

// Pid returns the process's id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Signal sends a signal to the process.
func (p *Process) Signal(t testing.TB, signal os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil {
		t.Errorf("%v for process %d: %v", signal, p.Pid(), err)
	}
}

// Exit waits until the process has ended and returns its exit code; -1: a signal has
// ended it.
func (p *Process) Exit(t testing.TB) int {
	t.Helper()
	select {
	case <-p.Ended:
	case <-time.After(time.Minute):
		t.Fatalf("the process did not end:\n%s", p.Log())
	}
	return p.cmd.ProcessState.ExitCode()
}

// Kill ends the process like kill -9, and returns when it has ended. It may be called
// more than once.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.Ended
}

// log keeps what a process writes.
type log struct {
	mu   sync.Mutex // guards text
	text []byte
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, b...)
	return len(b), nil
}

// next returns the first whole line with that message from offset *seen on, and
// moves *seen behind the lines that it has read.
func (l *log) next(msg string, seen *int) map[string]any {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		n := bytes.IndexByte(l.text[*seen:], '\n')
		if n < 0 {
			return nil
		}
		var line map[string]any
		err := json.Unmarshal(l.text[*seen:*seen+n], &line) // a start's errors are plain text
		*seen += n + 1
		if err == nil && line["msg"] == msg {
			return line
		}
	}
}
