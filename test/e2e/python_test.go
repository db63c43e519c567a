package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// pythonClient is the published client of another make than the Java one: one
// login for each client object, the header looked up in any case.
const pythonClient = "powerjob-client-python==5.1.2.0"

// python returns an interpreter that has pythonClient. It is installed once into
// the user's cache.
var python = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	venv := filepath.Join(cache, "powerjob-shim-e2e", strings.ReplaceAll(pythonClient, "==", "-"))
	interpreter := filepath.Join(venv, "bin", "python")
	if exec.Command(interpreter, "-c", "import powerjob_client").Run() == nil {
		return interpreter, nil
	}
	for _, command := range [][]string{
		{"python3", "-m", "venv", "--clear", venv},
		{filepath.Join(venv, "bin", "pip"), "--quiet", "--disable-pip-version-check", "install", pythonClient},
	} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("%s: %w\n%s", strings.Join(command, " "), err, bytes.TrimSpace(out))
		}
	}
	return interpreter, nil
})

// runPython runs a script with the real Python client and returns what it
// prints. connect(address, ...) makes a client object for the stand-in's app.
func runPython(t testing.TB, script string, args ...string) string {
	t.Helper()
	need(t, "python3")
	interpreter, err := python()
	if err != nil {
		missing(t, "the Python client cannot be had: %v", err)
	}
	const connect = `
import sys
from powerjob_client import ClientConfig, PowerJobClient
def connect(*addresses):
    return PowerJobClient(ClientConfig("app1", "pw", list(addresses), connection_timeout=30, read_timeout=30))
`
	cmd := exec.Command(interpreter, append([]string{"-c", connect + script}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("python: %v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// newServer is a server of tomorrow without the header: it executes every call
// that it gets, known here or not.
type newServer struct {
	addr string

	mu       sync.Mutex
	executed map[string]int // guarded by mu
}

func startNewServer(t testing.TB) *newServer {
	s := &newServer{executed: map[string]int{}}
	up := httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(up.Close)
	s.addr = strings.TrimPrefix(up.URL, "http://")
	return s
}

func (s *newServer) serve(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	call := strings.TrimPrefix(r.URL.Path, "/openApi/")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.executed[call]++
	w.Header().Set("Content-Type", "application/json")
	if call == "authApp" {
		fmt.Fprintf(w, `{"success":true,"data":{"appId":1,"token":"t%d"}}`, s.executed[call])
		return
	}
	fmt.Fprintf(w, `{"success":true,"data":%d}`, s.executed[call])
}

func (s *newServer) times(call string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.executed[call]
}

const runOneJobTwice = `
first, second = connect(sys.argv[1]), None
a = first.run_job(7)
second = connect(sys.argv[1])
b = second.run_job(7)
print(a.data, b.data)
`

func TestTwoPythonClientsThatStartTheSameJobStartItTwice(t *testing.T) {
	server := startNewServer(t)
	shim := startShim(t, server.addr)
	if got := runPython(t, runOneJobTwice, shim.Listen); got != "1 2" {
		t.Errorf("the callers got %q, want 1 2", got)
	}
	if n := server.times("runJob2"); n != 2 {
		t.Errorf("the server executed runJob2 %d times, want 2", n)
	}
	if n := server.times("authApp"); n != 2 {
		t.Errorf("the clients logged in %d times, want 2", n)
	}
	if n := shim.metric(t, "powerjob_shim_resends_total"); n != 0 {
		t.Errorf("%d re-sends counted", n)
	}
}

func TestAPythonClientThatGetsNoHeaderStartsItsJobOnce(t *testing.T) {
	server := startNewServer(t)
	// No rule adds the header, so each call is repeated.
	const rules = "rules: [{name: changes, paths: [\"/openApi/*\"], dedup: {match: resend, window: 30s}}]\n"
	shim := startShim(t, server.addr, "--config", fileWith(t, "shim.yaml", rules))
	if got := runPython(t, "c = connect(sys.argv[1])\nfor i in range(3): print(c.run_job(7, str(i)).data, c.copy_job(i).data)\n", shim.Listen); got != "1 1\n2 2\n3 3" {
		t.Errorf("the caller got %q", got)
	}
	for _, call := range []string{"runJob2", "copyJob"} {
		if n := server.times(call); n != 3 {
			t.Errorf("the server executed %s %d times, want 3", call, n)
		}
		if n := shim.metric(t, "powerjob_shim_resends_total", "call", call); n != 3 {
			t.Errorf("%d re-sends of %s counted, want 3", n, call)
		}
	}
	if n := server.times("authApp"); n != 7 {
		t.Errorf("the client logged in %d times, want once, and before each of 6 re-sends", n)
	}
}
