package metrics

import (
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"powerjob-shim/rules"
)

var catalogue = []string{"authApp", "saveJob", "runJob"}

func newMetrics(t *testing.T) (*Metrics, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	return New(reg, catalogue), reg
}

// useAll makes every collector that starts without series have one.
func useAll(m *Metrics) {
	m.Requests.WithLabelValues("main", "saveJob", Code(200)).Inc()
	m.RequestDuration.WithLabelValues("main", "saveJob").Observe(0.1)
	m.UpstreamRequests.WithLabelValues("default", "saveJob", Code(0)).Inc()
	m.UpstreamDuration.WithLabelValues("default").Observe(0.1)
	m.PresetUnanswered("main")
	m.ObserveCertificates(func() []Expiry { return []Expiry{{Name: "a.test"}} })
	m.SetBuildInfo("v0.1.0", "abc", "go1.26")
	m.ObserveUpstreams(func() []UpstreamStats {
		return []UpstreamStats{{Upstream: "default", Server: "a:1", Up: true, InFlight: 3}}
	})
}

func TestTheNamesAreTheContractsAndPassTheLinter(t *testing.T) {
	m, reg := newMetrics(t)
	useAll(m)
	want := []string{
		"powerjob_shim_acme_events_total",
		"powerjob_shim_build_info",
		"powerjob_shim_certificate_expiry_timestamp_seconds",
		"powerjob_shim_config_last_reload_success_timestamp_seconds",
		"powerjob_shim_config_last_reload_successful",
		"powerjob_shim_dedup_bypassed_total",
		"powerjob_shim_dedup_bytes",
		"powerjob_shim_dedup_entries",
		"powerjob_shim_dedup_evicted_before_expiry_total",
		"powerjob_shim_dedup_in_flight",
		"powerjob_shim_dedup_total",
		"powerjob_shim_gate_total",
		"powerjob_shim_header_lost_total",
		"powerjob_shim_header_total",
		"powerjob_shim_log_dropped_total",
		"powerjob_shim_logins_total",
		"powerjob_shim_observing",
		"powerjob_shim_outside_prefix_total",
		"powerjob_shim_request_duration_seconds",
		"powerjob_shim_requests_total",
		"powerjob_shim_resends_total",
		"powerjob_shim_store_errors_total",
		"powerjob_shim_translated_total",
		"powerjob_shim_unanswered_total",
		"powerjob_shim_upstream_duration_seconds",
		"powerjob_shim_upstream_in_flight",
		"powerjob_shim_upstream_requests_total",
		"powerjob_shim_upstream_up",
	}
	var got []string
	for _, f := range gather(t, reg) {
		got = append(got, f.GetName())
	}
	if !slices.Equal(got, want) {
		t.Errorf("names:\n got %v\nwant %v", got, want)
	}
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("lint: %s: %s", p.Metric, p.Text)
	}
}

func TestTheLabelsAreTheContracts(t *testing.T) {
	m, reg := newMetrics(t)
	useAll(m)
	want := map[string]string{
		"requests_total":            "call code route",
		"request_duration_seconds":  "call route",
		"upstream_requests_total":   "call code upstream",
		"upstream_duration_seconds": "upstream",
		"upstream_in_flight":        "server upstream",
		"upstream_up":               "server upstream",
		"dedup_total":               "call decision",
		"dedup_bypassed_total":      "reason",
		"gate_total":                "decision reason",
		"header_total":              "action",
		"logins_total":              "kind result",
		"translated_total":          "call",
		"resends_total":             "call",
		"header_lost_total":         "call",
		"outside_prefix_total":      "call",
		"unanswered_total":          "reason route",
		"store_errors_total":        "operation",
		"upstream_unasked_total":    "upstream",
		"acme_events_total":         "event",

		"certificate_expiry_timestamp_seconds": "name",
		"build_info":                           "goversion revision version",
	}
	for _, f := range gather(t, reg) {
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		short := strings.TrimPrefix(f.GetName(), Namespace+"_")
		if got := strings.Join(labels, " "); got != want[short] {
			t.Errorf("labels of %s: got %q, want %q", short, got, want[short])
		}
	}
}

func TestWhatIncreaseIsAskedOfExistsFromTheStart(t *testing.T) {
	m, reg := newMetrics(t)
	for _, c := range []struct {
		name string
		vec  *prometheus.CounterVec
		want int
	}{
		{"dedup_total", m.Dedup, (len(catalogue) + 1) * 6},
		{"dedup_bypassed_total", m.DedupBypassed, len(rules.BypassReasons())},
		{"header_total", m.Header, 4},
		{"logins_total", m.Logins, 6},
		{"outside_prefix_total", m.Outside, len(catalogue)},
		{"translated_total", m.Translated, 1},
		{"resends_total", m.Resends, len(catalogue) + 1},
		{"header_lost_total", m.HeaderLost, len(catalogue) + 1},
		{"store_errors_total", m.StoreErrors, len(operations)},
		{"acme_events_total", m.ACMEEvents, len(acmeEvents)},
	} {
		if got := testutil.CollectAndCount(c.vec); got != c.want {
			t.Errorf("%s: %d series at the start, want %d", c.name, got, c.want)
		}
	}
	for _, f := range gather(t, reg) {
		for _, s := range f.GetMetric() {
			if v := s.GetCounter().GetValue() + s.GetGauge().GetValue(); v != 0 {
				t.Errorf("%s starts at %v, want 0", f.GetName(), v)
			}
		}
	}
}

func TestTheLabelCallTakesOnlyNamesOfTheCatalogue(t *testing.T) {
	m, reg := newMetrics(t)
	for _, name := range []string{"saveJob", "savejob", "saveJob/", "", "x' OR 1=1", "other"} {
		m.Requests.WithLabelValues("main", name, "200").Inc()
		m.RequestDuration.WithLabelValues("main", name).Observe(1)
		m.UpstreamRequests.With(prometheus.Labels{"upstream": "default", "call": name, "code": "200"}).Inc()
		m.Dedup.WithLabelValues(name, "forwarded").Inc()
		m.Resends.WithLabelValues(name).Inc()
	}
	known := append(slices.Clone(catalogue), Other)
	for _, f := range gather(t, reg) {
		for _, s := range f.GetMetric() {
			for _, l := range s.GetLabel() {
				if l.GetName() == "call" && !slices.Contains(known, l.GetValue()) {
					t.Errorf("%s has call=%q", f.GetName(), l.GetValue())
				}
			}
		}
	}
	if got := testutil.ToFloat64(m.Resends.WithLabelValues(Other)); got != 5 {
		t.Errorf("unknown names counted under other: %v, want 5", got)
	}
	if got := testutil.ToFloat64(m.Resends.WithLabelValues("saveJob")); got != 1 {
		t.Errorf("saveJob: %v, want 1", got)
	}
}

func TestTheCatalogueThatWasPassedInStaysAsItWas(t *testing.T) {
	calls := append(make([]string, 0, 8), "saveJob")
	New(nil, calls)
	if got := calls[:2][1]; got != "" {
		t.Errorf("New wrote %q behind the caller's slice", got)
	}
}

func TestTheStoreIsAskedOncePerScrapeAndCanBeReplaced(t *testing.T) {
	m, reg := newMetrics(t)
	asked := 0
	m.ObserveStore(func() StoreStats { return StoreStats{Entries: 9} })
	m.ObserveStore(func() StoreStats {
		asked++
		return StoreStats{Entries: 2, Bytes: 512, InFlight: 1, Evicted: 7}
	})
	const want = `
# HELP powerjob_shim_dedup_bytes Memory that the dedup store's record is charged with.
# TYPE powerjob_shim_dedup_bytes gauge
powerjob_shim_dedup_bytes 512
# HELP powerjob_shim_dedup_entries Calls and logins that the dedup store has on record.
# TYPE powerjob_shim_dedup_entries gauge
powerjob_shim_dedup_entries 2
# HELP powerjob_shim_dedup_evicted_before_expiry_total Entries that the dedup store's bounds pushed out before their window was over.
# TYPE powerjob_shim_dedup_evicted_before_expiry_total counter
powerjob_shim_dedup_evicted_before_expiry_total 7
# HELP powerjob_shim_dedup_in_flight Calls under a dedup rule that an upstream has not answered yet.
# TYPE powerjob_shim_dedup_in_flight gauge
powerjob_shim_dedup_in_flight 1
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want),
		"powerjob_shim_dedup_bytes", "powerjob_shim_dedup_entries", "powerjob_shim_dedup_in_flight", "powerjob_shim_dedup_evicted_before_expiry_total"); err != nil {
		t.Error(err)
	}
	if asked != 1 {
		t.Errorf("store was asked %d times for one scrape, want 1", asked)
	}
	m.ObserveStore(func() StoreStats { return StoreStats{} })
	gather(t, reg)
	if asked != 1 {
		t.Error("store was asked after it was taken away")
	}
}

func TestASecondBuildInfoReplacesTheFirst(t *testing.T) {
	m, _ := newMetrics(t)
	m.SetBuildInfo("v1", "a", "go")
	m.SetBuildInfo("v2", "b", "go")
	if n := testutil.CollectAndCount(m.buildInfo); n != 1 {
		t.Errorf("%d series of build_info, want 1", n)
	}
	if got := testutil.ToFloat64(m.buildInfo.WithLabelValues("v2", "b", "go")); got != 1 {
		t.Errorf("build_info{v2} is %v, want 1", got)
	}
}

func TestWithoutARegistryTheCollectorsStillCount(t *testing.T) {
	m := New(nil, catalogue)
	m.Dedup.WithLabelValues("saveJob", "replayed").Inc()
	if got := testutil.ToFloat64(m.Dedup.WithLabelValues("saveJob", "replayed")); got != 1 {
		t.Errorf("got %v, want 1", got)
	}
}

func TestCodesAreStatusesOrError(t *testing.T) {
	for status, want := range map[int]string{100: "100", 200: "200", 499: "499", 599: "599", 0: "error", 99: "error", 600: "error", -1: "error"} {
		if got := Code(status); got != want {
			t.Errorf("Code(%d) = %q, want %q", status, got, want)
		}
	}
	if n := testing.AllocsPerRun(100, func() { Code(200) }); n != 0 {
		t.Errorf("Code allocates %v times", n)
	}
}

func gather(t *testing.T, reg *prometheus.Registry) []*dto.MetricFamily {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return families
}
