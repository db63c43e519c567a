package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"powerjob-shim/internal/await"
	"powerjob-shim/internal/children"
)

// asked records what is asked under /server/ of the server behind it, and with
// what status it is answered.
type asked struct {
	address string

	mu   sync.Mutex // protects seen
	seen []string
}

func startAsked(t *testing.T, server string) *asked {
	t.Helper()
	a := &asked{}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: server})
	proxy.Transport = &http.Transport{}
	proxy.ModifyResponse = func(res *http.Response) error {
		if !strings.HasPrefix(res.Request.URL.Path, "/server/") { // the shim's own probes
			return nil
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		if line := fmt.Sprint(res.Request.Method, " ", res.Request.URL.Path, " ", res.StatusCode); !slices.Contains(a.seen, line) {
			a.seen = append(a.seen, line)
		}
		return nil
	}
	front := httptest.NewServer(patient(proxy))
	t.Cleanup(front.Close)
	a.address = strings.TrimPrefix(front.URL, "http://")
	return a
}

func (a *asked) all() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Sorted(slices.Values(a.seen))
}

// startWorker starts a real powerjob-worker, which runs until the test ends, and
// returns once its start has.
func startWorker(t *testing.T, version string, app account, addresses ...string) {
	t.Helper()
	_, port := freePort(t)
	args := append(javaFlags[:len(javaFlags):len(javaFlags)], "-cp", classpath(t, "worker-"+version), "WorkerDriver",
		strings.Join(addresses, ","), app.name, strconv.Itoa(port), t.TempDir())
	cmd := exec.Command("java", args...)
	children.DieWithUs(cmd)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	ended := func() {
		_ = stdin.Close()
		_, _ = io.Copy(&out, stdout)
		_ = cmd.Wait()
	}
	for lines := bufio.NewReader(stdout); ; {
		line, err := lines.ReadString('\n')
		out.WriteString(line)
		if line == "worker started\n" {
			break
		}
		if err != nil {
			ended()
			t.Fatalf("the worker %s does not start\n%s\n%s", version, out.String(), stderr.String())
		}
	}
	drained := make(chan struct{})
	go func() { defer close(drained); _, _ = io.Copy(io.Discard, stdout) }()
	t.Cleanup(func() {
		_ = stdin.Close()
		<-drained
		_ = cmd.Wait()
	})
}

// TestWhatRealWorkersAskPasses is the table of docs/compatibility.md: what workers
// ask under /server/, and how a server answers, is the same with the shim in
// between. On the real server each then shows up as the app's worker.
func TestWhatRealWorkersAskPasses(t *testing.T) {
	t.Parallel()
	need(t, "java", "mvn")
	for version, want := range map[string][]string{
		"4.3.6": {"GET /server/acquire 200", "GET /server/assert 200"},
		"5.1.0": {"GET /server/acquire 200", "GET /server/assert 200", "GET /server/checkConnectivity 200"},
		"5.1.2": {"GET /server/acquire 200", "GET /server/assert 200", "GET /server/checkConnectivity 200"},
	} {
		for _, real := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, a real server %t", version, real), func(t *testing.T) {
				t.Parallel()
				app, behind := realApp{account: standInApp}, ""
				if real {
					app = needRealServer(t).newApp(t)
					behind = app.server.address
				} else {
					behind = startMortal(t).address
				}
				front := startAsked(t, behind)
				startWorker(t, version, app.account, startShim(t, front.address).Listen)
				if got := front.all(); !slices.Equal(got, want) {
					t.Errorf("the server was asked %q, want %q", got, want)
				}
				if real {
					await.That(t, "the server lists the worker", func() bool { return app.workers(t) == 1 }, func() string { return "" })
				}
			})
		}
	}
}

// workers asks the server how many workers have told it of themselves.
func (a realApp) workers(t *testing.T) int {
	t.Helper()
	var list []any
	a.server.get(t, fmt.Sprintf("/system/listWorker?appId=%d", a.id), &list)
	return len(list)
}
