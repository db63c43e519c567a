package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"powerjob-shim/internal/await"
)

// patience bounds what should happen soon on a busy machine.
const patience = 30 * time.Second

// built is where binary has put the program; "": it was not asked for.
var built string

// binary builds the program once, as users run it: without the race detector,
// which would multiply its memory.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "powerjob-shim")
	if err != nil {
		return "", err
	}
	built = dir
	path := filepath.Join(dir, "powerjob-shim")
	if out, err := exec.Command("go", "build", "-ldflags", "-X main.version=v0.0.0-test", "-o", path, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("building: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if built != "" {
		_ = os.RemoveAll(built)
	}
	os.Exit(code)
}

// process is the program as a child process.
type process struct {
	*exec.Cmd
	listen, admin string // addresses, once it has started

	mu   sync.Mutex
	log  []map[string]any // what it wrote to stderr, line by line
	text strings.Builder  // the same as text
	done chan error       // what Wait returned
}

// start runs "powerjob-shim run" on free ports and waits until it has started.
func start(t *testing.T, environ []string, args ...string) *process {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return startProgram(t, path, environ, args...)
}

func startProgram(t *testing.T, path string, environ []string, args ...string) *process {
	t.Helper()
	p := launchProgram(t, path, environ, append([]string{"run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"}, args...)...)
	line := p.waitFor(t, "started")
	p.listen, p.admin = line["listen"].([]any)[0].(string), line["admin"].(string)
	return p
}

func launch(t *testing.T, environ []string, args ...string) *process {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return launchProgram(t, path, environ, args...)
}

func launchProgram(t *testing.T, path string, environ []string, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(path, args...), done: make(chan error, 1)}
	p.Env = append([]string{"PATH=" + os.Getenv("PATH")}, environ...)
	stderr, err := p.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		for s := bufio.NewScanner(stderr); s.Scan(); {
			var line map[string]any
			_ = json.Unmarshal(s.Bytes(), &line) // errors of the start are plain text
			p.mu.Lock()
			p.log = append(p.log, line)
			p.text.WriteString(s.Text() + "\n")
			p.mu.Unlock()
		}
		p.done <- p.Wait()
	}()
	t.Cleanup(func() {
		_ = p.Process.Kill()
		p.exit(t)
	})
	return p
}

// exit waits for the end and returns the exit code.
func (p *process) exit(t *testing.T) int {
	t.Helper()
	select {
	case err := <-p.done:
		p.done <- err
		return p.ProcessState.ExitCode()
	case <-time.After(patience):
		t.Fatal("the process did not end")
		return 0
	}
}

func (p *process) stderr() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// waitFor returns the first log line with that message.
func (p *process) waitFor(t *testing.T, msg string) map[string]any {
	t.Helper()
	var found map[string]any
	await.That(t, "the log says "+msg, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, line := range p.log {
			if line["msg"] == msg {
				found = line
				return true
			}
		}
		return false
	}, p.stderr)
	return found
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func writeFile(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
