package docs

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestEveryMetricIsOnTheDashboardOrSaidToBeLeftOut holds the dashboard to the
// metrics, and docs/metrics.md to what is on neither.
func TestEveryMetricIsOnTheDashboardOrSaidToBeLeftOut(t *testing.T) {
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "configs/grafana/dashboard.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	var queries strings.Builder
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			queries.WriteString(target.Expr + "\n")
			if strings.HasPrefix(target.Expr, "(sum by") && !strings.Contains(target.Expr, "> 0 or on() label_replace(vector(0)") {
				t.Errorf("panel %q shows series that are 0, or nothing at all: %s", p.Title, target.Expr)
			}
		}
	}
	_, text, _ := strings.Cut(read(t, "docs/metrics.md"), "## Not on the dashboard")
	for _, name := range slices.Sorted(maps.Keys(metricNames(t))) {
		shown := regexp.MustCompile(name + `(_bucket|_sum|_count)?\b`).MatchString(queries.String())
		said := strings.Contains(text, "| `"+name+"` |")
		if shown == said {
			t.Errorf("%s is on the dashboard: %t; docs/metrics.md says that it is left out: %t", name, shown, said)
		}
	}
}

// TestEveryAlertHasItsHeading holds each alert's runbook_url to a heading of
// docs/troubleshooting.md.
func TestEveryAlertHasItsHeading(t *testing.T) {
	alerts := regexp.MustCompile(`(?s)- alert: (\w+)\n(.*?)(?:\n\n|$)`).FindAllStringSubmatch(read(t, "configs/prometheus/alerts.yaml"), -1)
	if len(alerts) < 15 {
		t.Fatalf("found only %d alerts", len(alerts))
	}
	guide := read(t, "docs/troubleshooting.md")
	for _, a := range alerts {
		if want := `runbook_url: "docs/troubleshooting.md#` + strings.ToLower(a[1]) + `"`; !strings.Contains(a[2], want) {
			t.Errorf("%s has no %s", a[1], want)
		}
		if !strings.Contains(guide, "\n### "+a[1]+"\n") {
			t.Errorf("docs/troubleshooting.md has no heading for %s", a[1])
		}
	}
}

// TestEveryAlertIsTried holds promtool's tests to the alerts: one in which each
// fires, and one in which it does not.
func TestEveryAlertIsTried(t *testing.T) {
	tests := read(t, "configs/prometheus/alerts_test.yaml")
	for _, a := range regexp.MustCompile(`(?m)^ +- alert: (\w+)$`).FindAllStringSubmatch(read(t, "configs/prometheus/alerts.yaml"), -1) {
		quiet := regexp.MustCompile(`alertname: ` + a[1] + `(, |\s+)eval_time: \w+(, |\s+)exp_alerts: \[\]`)
		fires := regexp.MustCompile(`alertname="` + a[1] + `"\}', value: 1|alertname: ` + a[1] + `\s+eval_time: \w+\s+exp_alerts:\s+- exp_labels`)
		if !quiet.MatchString(tests) {
			t.Errorf("no test in which %s stays silent", a[1])
		}
		if !fires.MatchString(tests) {
			t.Errorf("no test in which %s fires", a[1])
		}
	}
}
