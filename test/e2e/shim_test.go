package e2e

import (
	"net/http"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"powerjob-shim/internal/shimtest"
)

// shim is the program, or the ingress controller, as a child process.
type shim struct{ *shimtest.Process }

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
	cmd := shimtest.Command(t, append([]string{"run", "--admin", "127.0.0.1:0"}, args...)...)
	return &shim{shimtest.Start(t, cmd).Started(t)}
}

// metric sums the samples of a counter or gauge that have these labels ("call",
// "saveJob", "decision", "replayed").
func (s *shim) metric(t *testing.T, name string, labels ...string) int {
	t.Helper()
	res, err := http.Get("http://" + s.Admin + "/metrics")
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
