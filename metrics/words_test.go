package metrics_test

import (
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"powerjob-shim/metrics"
	"powerjob-shim/rules"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/dedup"
	"powerjob-shim/rules/openapi"
)

// A store's own figures convert to the metrics'.
var _ = metrics.StoreStats(dedup.Stats{})

// The words in answers and log lines come from package rules; the series that
// exist from the start must be those and no others.
func TestTheLabelsUseTheWordsOfTheRules(t *testing.T) {
	reg := prometheus.NewRegistry()
	metrics.New(reg, openapi.Names())

	calls := append(openapi.Names(), metrics.Other)
	for _, c := range []struct {
		metric, label string
		want          []string
	}{
		{"powerjob_shim_dedup_total", "decision", rules.Decisions()},
		{"powerjob_shim_dedup_total", "call", calls},
		{"powerjob_shim_dedup_bypassed_total", "reason", rules.BypassReasons()},
		{"powerjob_shim_resends_total", "call", calls},
		{"powerjob_shim_header_lost_total", "call", calls},
		{"powerjob_shim_gate_total", "reason", append(access.Reasons(), string(access.Passed))},
	} {
		got := values(t, reg, c.metric, c.label)
		slices.Sort(c.want)
		if want := slices.Compact(c.want); !slices.Equal(got, want) {
			t.Errorf("%s{%s}:\n got %v\nwant %v", c.metric, c.label, got, want)
		}
	}
}

// values returns what a label of a metric has, sorted, each once.
func values(t *testing.T, reg *prometheus.Registry, metric, label string) []string {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range families {
		if f.GetName() != metric {
			continue
		}
		for _, s := range f.GetMetric() {
			for _, l := range s.GetLabel() {
				if l.GetName() == label {
					got = append(got, l.GetValue())
				}
			}
		}
	}
	slices.Sort(got)
	return slices.Compact(got)
}
