package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"powerjob-shim/internal/children"
	"powerjob-shim/internal/standin/client"
	"powerjob-shim/internal/standin/legacy"
)

// TestEveryQueryFindsSomething has Prometheus scrape a shim that works, and asks
// it all queries of the dashboard, the alerts and docs/metrics.md: none may
// come back empty.
func TestEveryQueryFindsSomething(t *testing.T) {
	t.Parallel()
	program := need(t, "prometheus")[0]
	_, server := startStandIn(t, legacy.Options{})
	config := fileWith(t, "shim.yaml", fmt.Sprintf(`
upstreams: {default: {servers: ["http://%s"]}}
listen:
  - {address: "127.0.0.1:0"}
  - {address: "127.0.0.1:0", tls: {mode: self-signed, names: [shim.test]}}
auth: {mode: observe}
`, server))
	shim := runShim(t, "--config", config)
	prom := startPrometheus(t, program, shim.Admin)

	end := make(chan struct{})
	var working sync.WaitGroup
	working.Go(func() { workUntil(t, shim.Listen, end) })
	defer working.Wait()
	defer close(end)
	prom.until(t, `min_over_time((count_over_time(powerjob_shim_build_info[1m]))[1s:1s]) >= 5 and on() sum(increase(powerjob_shim_dedup_total{decision="replayed"}[1m])) > 0`)

	for _, q := range queries(t) {
		result, err := prom.ask(q)
		if err != nil {
			t.Errorf("%s: %v", q, err)
		} else if len(result) == 0 {
			t.Errorf("%s: finds nothing", q)
		}
	}
	prom.wantExemplar(t)
}

// workUntil saves each job twice, so that each second save is dropped.
func workUntil(t *testing.T, address string, end <-chan struct{}) {
	c, err := client.New(client.Config{Addresses: []string{address}, AppName: standInApp.name, Password: standInApp.password})
	if err != nil {
		t.Error(err)
		return
	}
	for i := 0; ; i++ {
		for range 2 {
			select {
			case <-end:
				return
			case <-time.After(5 * time.Millisecond): // 200 calls a second are plenty
				save(t, c, i)
			}
		}
	}
}

// queries are those of the dashboard, the alerts and docs/metrics.md, as they
// are evaluated while all is well: a comparison says 0 or 1 instead of leaving
// series out.
func queries(t *testing.T) []string {
	t.Helper()
	var all []string
	var dashboard struct {
		Panels []struct {
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(readRepo(t, "configs/grafana/dashboard.json"), &dashboard); err != nil {
		t.Fatal(err)
	}
	variables := strings.NewReplacer("$job", ".*", "$instance", ".*", "$__rate_interval", "1m", "$__range", "1m")
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			all = append(all, variables.Replace(target.Expr))
		}
	}
	var rules struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	if err := yaml.Unmarshal(readRepo(t, "configs/prometheus/alerts.yaml"), &rules); err != nil {
		t.Fatal(err)
	}
	fromDashboard := len(all)
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			expr := r.Expr
			if r.Alert == "PowerJobShimMissing" { // it finds what is not there
				expr = strings.Replace(expr, " unless on (job, instance) powerjob_shim_build_info", "", 1)
			}
			all = append(all, asBool(expr))
		}
	}
	fromAlerts := len(all) - fromDashboard
	text := string(readRepo(t, "docs/metrics.md"))
	for _, m := range regexp.MustCompile("(?s)```promql\n(.*?)```").FindAllStringSubmatch(text, -1) {
		for line := range strings.Lines(m[1]) {
			all = append(all, asBool(strings.TrimSpace(line)))
		}
	}
	for _, m := range regexp.MustCompile("(?m)^\\| [^|`]*\\? [^|`]*\\| `([^`]+)`").FindAllStringSubmatch(text, -1) {
		all = append(all, asBool(m[1]))
	}
	if fromDashboard < 30 || fromAlerts < 15 || len(all)-fromDashboard-fromAlerts < 8 {
		t.Errorf("found only %d queries of the dashboard, %d of the alerts, %d in all", fromDashboard, fromAlerts, len(all))
	}
	return all
}

var comparison = regexp.MustCompile(`^(.*) (>|<|==) ([^"]*)$`)

// asBool makes the last comparison say 0 or 1.
func asBool(expr string) string {
	return comparison.ReplaceAllString(strings.TrimSpace(expr), "$1 $2 bool $3")
}

func readRepo(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// prometheus is a running server's address.
type prometheus string

// startPrometheus runs one that scrapes target every second.
func startPrometheus(t *testing.T, program, target string) prometheus {
	t.Helper()
	alerts, err := filepath.Abs(filepath.Join("..", "..", "configs", "prometheus", "alerts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	config := fileWith(t, "prometheus.yml", fmt.Sprintf("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [%q]\n"+
		"scrape_configs: [{job_name: shim, static_configs: [{targets: [%q]}]}]\n", alerts, target))
	for range 5 { // somebody may take the port before it does
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := ln.Addr().String()
		_ = ln.Close() // it was only to have a free port
		cmd := exec.Command(program, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(filepath.Dir(config), "data"),
			"--web.listen-address="+address, "--enable-feature=exemplar-storage", "--log.level=error")
		cmd.Stderr = os.Stderr
		children.DieWithUs(cmd)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { _ = cmd.Wait(); close(ended) }()
		t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
		if prom := prometheus(address); prom.ready(ended) {
			return prom
		}
	}
	t.Fatal("prometheus does not start")
	return ""
}

func (p prometheus) ready(ended <-chan struct{}) bool {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		select {
		case <-ended:
			return false
		case <-time.After(50 * time.Millisecond):
		}
		if res, err := http.Get("http://" + string(p) + "/-/ready"); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return true
			}
		}
	}
	return false
}

// ask returns the series that a query finds.
func (p prometheus) ask(query string) ([]any, error) {
	var answer struct {
		Error string
		Data  struct{ Result []any }
	}
	if err := p.get("/api/v1/query", url.Values{"query": {query}}, &answer); err != nil {
		return nil, err
	}
	if answer.Error != "" {
		return nil, fmt.Errorf("prometheus says: %s", answer.Error)
	}
	return answer.Data.Result, nil
}

func (p prometheus) get(path string, values url.Values, to any) error {
	res, err := http.Get("http://" + string(p) + path + "?" + values.Encode())
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, to)
}

// until waits until a query finds something.
func (p prometheus) until(t *testing.T, query string) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if result, err := p.ask(query); err == nil && len(result) > 0 {
			return
		}
	}
	result, err := p.ask(query)
	t.Fatalf("not within 2 minutes: %s (%v, %v)", query, result, err)
}

// wantExemplar looks for a request's id beside a bucket.
func (p prometheus) wantExemplar(t *testing.T) {
	t.Helper()
	var answer struct {
		Data []struct {
			Exemplars []struct{ Labels map[string]string }
		}
	}
	now := time.Now()
	if err := p.get("/api/v1/query_exemplars", url.Values{"query": {"powerjob_shim_request_duration_seconds_bucket"},
		"start": {fmt.Sprint(now.Add(-time.Hour).Unix())}, "end": {fmt.Sprint(now.Add(time.Hour).Unix())}}, &answer); err != nil {
		t.Fatal(err)
	}
	for _, series := range answer.Data {
		for _, e := range series.Exemplars {
			if e.Labels["request_id"] != "" {
				return
			}
		}
	}
	t.Errorf("no exemplar has a request_id: %+v", answer.Data)
}
