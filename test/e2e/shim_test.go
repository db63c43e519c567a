package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"powerjob-shim/internal/children"
)

// binary builds the shim once, as users run it.
var binary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "powerjob-shim")
	if out, err := exec.Command("go", "build", "-o", path, "powerjob-shim/cmd/powerjob-shim").CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the shim: %w\n%s", err, out)
	}
	return path, nil
})

// shim is the program as a child process.
type shim struct {
	listen, admin string   // addresses
	listeners     []string // of all; listen is the first
	cmd           *exec.Cmd
	ended         chan struct{}
}

// startShim runs a shim with its default configuration in front of a server,
// and waits until it listens.
func startShim(t testing.TB, upstream string, args ...string) *shim {
	t.Helper()
	return startShimAt(t, "127.0.0.1:0", upstream, args...)
}

func startShimAt(t testing.TB, listen, upstream string, args ...string) *shim {
	t.Helper()
	return runShim(t, append([]string{"--listen", listen, "--upstream", "http://" + upstream}, args...)...)
}

// runShim runs a shim with these arguments, and waits until it listens.
func runShim(t testing.TB, args ...string) *shim {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, append([]string{"run", "--admin", "127.0.0.1:0"}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")} // no configuration from whoever runs the tests
	return startProcess(t, cmd)
}

// startProcess starts a shim, or the ingress controller, and waits until it
// listens.
func startProcess(t testing.TB, cmd *exec.Cmd) *shim {
	t.Helper()
	s := &shim{cmd: cmd, ended: make(chan struct{})}
	children.DieWithUs(s.cmd)
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var log []string
	started := make(chan startedLine, 1)
	go func() {
		defer close(s.ended)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			log = append(log, lines.Text())
			var line startedLine
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "started" {
				started <- line
			}
		}
		_ = s.cmd.Wait() // killed, mostly
	}()
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Logf("the shim's log, its end:\n%s", strings.Join(log[max(0, len(log)-200):], "\n"))
		}
	})
	select {
	case line := <-started:
		s.listeners, s.listen, s.admin = line.Listen, line.Listen[0], line.Admin
	case <-s.ended:
		t.Fatalf("the shim does not start:\n%s", strings.Join(log, "\n"))
	}
	return s
}

// startedLine is what the shim logs once it listens.
type startedLine struct {
	Msg    string
	Listen []string
	Admin  string
}

// kill is kill -9. More than once is fine.
func (s *shim) kill() {
	_ = s.cmd.Process.Kill()
	<-s.ended
}

// metric sums the samples of a counter or gauge that have these labels ("call",
// "saveJob", "decision", "replayed").
func (s *shim) metric(t *testing.T, name string, labels ...string) int {
	t.Helper()
	res, err := http.Get("http://" + s.admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	family := families[name]
	if family == nil {
		t.Fatalf("no metric %s", name)
	}
	sum := 0.0
	for _, m := range family.GetMetric() {
		has := 0
		for _, l := range m.GetLabel() {
			for i := 0; i < len(labels); i += 2 {
				if l.GetName() == labels[i] && l.GetValue() == labels[i+1] {
					has++
				}
			}
		}
		if has == len(labels)/2 {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() // it is one of the two
		}
	}
	return int(sum)
}

// decisions is how often the shim decided so, over all calls.
func (s *shim) decisions(t *testing.T, decision string) int {
	t.Helper()
	return s.metric(t, "powerjob_shim_dedup_total", "decision", decision)
}
