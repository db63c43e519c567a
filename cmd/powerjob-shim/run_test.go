package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"powerjob-shim/internal/await"
	"powerjob-shim/internal/standin/legacy"
)

func echo(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestRunWithAnUpstreamAloneFixesALegacyServer(t *testing.T) {
	server := legacy.New(legacy.Options{Mode: legacy.Legacy})
	url, err := server.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	p := start(t, nil, "--upstream", url)
	c, err := net.Dial("tcp", p.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_, _ = io.WriteString(c, "GET /openApi/fetchAllJob HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	answer, err := io.ReadAll(c)
	if err != nil || !strings.Contains(string(answer), "\r\nX-POWERJOB-AUTH-PASSED: true\r\n") {
		t.Errorf("the client got %q, %v", answer, err)
	}
	if line := p.WaitFor(t, "request"); line["call"] != "fetchAllJob" {
		t.Errorf("the log says %v", line)
	}
	if _, body := get(t, "http://"+p.Admin+"/metrics"); !strings.Contains(body, "powerjob_shim_config_last_reload_successful 1\n") ||
		!strings.Contains(body, `powerjob_shim_build_info{goversion="`+runtime.Version()+`"`) || !strings.Contains(body, "go_goroutines") {
		t.Errorf("/metrics says %s", body)
	}
	if _, body := get(t, "http://"+p.Admin+"/status"); !strings.Contains(body, `"version": "v0.0.0-test"`) {
		t.Errorf("/status says %s", body)
	}
}

func TestRunEndsWithOneClearLineWhenItCannotStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	for _, c := range []struct {
		args []string
		want string
		code int
	}{
		{[]string{"run"}, "upstreams: no upstream server is given", 1},
		{[]string{"run", "--upstream", "http://127.0.0.1:1", "--listen", taken.Addr().String(), "--admin", "127.0.0.1:0"}, "listening on " + taken.Addr().String(), 1},
		{[]string{"run", "--upstream", "http://127.0.0.1:1", "--listen", "127.0.0.1:0", "--admin", taken.Addr().String()}, "listening on " + taken.Addr().String(), 1},
		{[]string{"run", "--config", "/nowhere.yaml"}, "/nowhere.yaml: cannot be read", 1},
		{[]string{"run", "--no-such-flag"}, "unknown flag: --no-such-flag; see powerjob-shim run --help", 2},
		{[]string{"run", "extra"}, `unknown command "extra" for "powerjob-shim run"`, 2},
		{[]string{"doctor"}, "doctor needs the addresses", 2},
		{[]string{"walk"}, `unknown command "walk"`, 2},
	} {
		p := launch(t, nil, c.args...)
		code := p.Exit(t)
		last := p.Log()
		if i := strings.LastIndex(strings.TrimSuffix(last, "\n"), "\n"); i >= 0 && !strings.Contains(c.want, "upstreams") {
			last = last[i+1:]
		}
		if code != c.code || !strings.HasPrefix(last, c.want) {
			t.Errorf("%v: exit code %d, stderr %q; want %d, %q", c.args, code, p.Log(), c.code, c.want)
		}
	}
}

func TestRunStartsWithoutItsUpstreamAndRecovers(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	p := start(t, nil, "--upstream", "http://"+ln.Addr().String())
	if code, body := get(t, "http://"+p.Admin+"/readyz"); code != 503 || !strings.Contains(body, ln.Addr().String()+": connection refused") {
		t.Errorf("/readyz says %d %q", code, body)
	}
	if res, err := http.Get("http://" + p.Listen + "/openApi/fetchAllJob"); !errors.Is(err, io.EOF) {
		t.Errorf("the client got %v, %v", res, err)
	}
	if code, body := get(t, "http://"+p.Listen+"/"); code != 502 || !strings.Contains(body, `"success":false`) {
		t.Errorf("the client got %d %q", code, body)
	}
	if ln, err = net.Listen("tcp", ln.Addr().String()); err != nil {
		t.Skipf("the port was taken meanwhile: %v", err)
	}
	s := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: patience}
	go func() { _ = s.Serve(ln) }()
	t.Cleanup(func() { _ = s.Close() })
	await.That(t, "/readyz recovers", func() bool { code, _ := get(t, "http://"+p.Admin+"/readyz"); return code == 200 }, p.Log)
}

func TestSignalsDrainAndASecondOneEndsAtOnce(t *testing.T) {
	arrived, release := make(chan struct{}, 1), make(chan struct{})
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			return // the probe of the start
		}
		arrived <- struct{}{}
		<-release
		_, _ = io.WriteString(w, "whole")
	}))
	defer up.Close()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		p := start(t, nil, "--upstream", up.URL)
		answer := make(chan string, 1)
		go func() { _, body := get(t, "http://"+p.Listen+"/"); answer <- body }()
		<-arrived
		p.Signal(t, sig)
		p.WaitFor(t, "draining")
		release <- struct{}{}
		if got := <-answer; got != "whole" {
			t.Errorf("%v: the client got %q", sig, got)
		}
		if code := p.Exit(t); code != 0 {
			t.Errorf("%v: exit code %d\n%s", sig, code, p.Log())
		}
	}
	p := start(t, []string{"POWERJOB_SHIM_SHUTDOWN__DELAY=1h"}, "--upstream", up.URL)
	p.Signal(t, syscall.SIGTERM)
	p.WaitFor(t, "draining")
	p.Signal(t, syscall.SIGTERM)
	if code := p.Exit(t); code != 1 {
		t.Errorf("after a second signal: exit code %d", code)
	}
}

func TestAChangedFileAndASIGHUPReload(t *testing.T) {
	first, second := echo(t), echo(t)
	file := filepath.Join(t.TempDir(), "config.yaml")
	write := func(upstream, more string) {
		writeFile(t, file, "upstreams: {default: {servers: [\""+upstream+"\"]}}\n"+more)
	}
	write(first, "")
	p := start(t, nil, "--config", file)
	loaded := func(n int) func() bool {
		return func() bool { return strings.Count(p.Log(), `"msg":"configuration loaded"`) == n }
	}
	write(second, "")
	await.That(t, "the file is loaded", loaded(1), p.Log)
	if _, body := get(t, "http://"+p.Admin+"/status"); !strings.Contains(body, strings.TrimPrefix(second, "http://")) {
		t.Errorf("/status says %s", body)
	}

	write(first, "dedupe: {}\nlog: {level: loud}\n")
	line := p.WaitFor(t, "configuration not loaded, the old one stays")
	problems, _ := line["problems"].([]any)
	if len(problems) != 2 || !strings.HasPrefix(fmt.Sprint(problems[0]), file+":2: dedupe: ") || !strings.HasPrefix(fmt.Sprint(problems[1]), file+":3: log.level: ") {
		t.Errorf("the log says %q", problems)
	}
	if _, body := get(t, "http://"+p.Admin+"/metrics"); !strings.Contains(body, "powerjob_shim_config_last_reload_successful 0\n") {
		t.Error("the gauge does not say 0")
	}
	if code, _ := get(t, "http://"+p.Listen+"/"); code != 200 {
		t.Errorf("the old configuration answers %d", code)
	}

	write(first, "listen: [{address: \":1\"}]\nadmin: {pprof: true}\n")
	await.That(t, "the good file is loaded", loaded(2), p.Log)
	keys, _ := p.WaitFor(t, "these keys keep their old value until a restart")["keys"].([]any)
	if fmt.Sprint(keys) != "[admin.pprof]" { // --listen wins over the file's
		t.Errorf("the log names %v", keys)
	}
	p.Signal(t, syscall.SIGHUP)
	if line := p.WaitFor(t, "configuration unchanged"); line["why"] != "SIGHUP" {
		t.Errorf("the log says %v", line)
	}
	if _, body := get(t, "http://"+p.Admin+"/metrics"); !strings.Contains(body, "powerjob_shim_config_last_reload_successful 1\n") {
		t.Error("the gauge does not say 1")
	}
}

func TestAReloadChangesTheLogsLevel(t *testing.T) {
	up := echo(t)
	file := filepath.Join(t.TempDir(), "config.yaml")
	write := func(level string) {
		writeFile(t, file, "log: {level: "+level+"}\nupstreams: {default: {servers: [\""+up+"\"]}}\n")
	}
	write("info")
	p := start(t, nil, "--config", file)
	loadedAt := func() string { // the gauge is set when the level is
		_, text := get(t, "http://"+p.Admin+"/metrics")
		return regexp.MustCompile(`(?m)^powerjob_shim_config_last_reload_success_timestamp_seconds .*`).FindString(text)
	}
	first := loadedAt()
	get(t, "http://"+p.Listen+"/logged")

	write("warn")
	await.That(t, "the level is warn", func() bool { return loadedAt() != first }, p.Log)
	get(t, "http://"+p.Listen+"/silent")

	write("info")
	p.WaitFor(t, "configuration loaded")
	get(t, "http://"+p.Listen+"/again")
	await.That(t, "requests are logged again", func() bool { return strings.Contains(p.Log(), `"path":"/again"`) }, p.Log)
	if log := p.Log(); !strings.Contains(log, `"path":"/logged"`) || strings.Contains(log, `"path":"/silent"`) {
		t.Errorf("the log has a request that it should not have, or lacks one:\n%s", log)
	}
}

func TestFlagsWinOverTheEnvironmentAndThatOverTheFile(t *testing.T) {
	up := echo(t)
	file := writeFile(t, filepath.Join(t.TempDir(), "config.yaml"), "log: {level: debug, format: console}\nupstreams: {default: {servers: [\"http://127.0.0.1:1\"]}}\n")
	p := start(t, []string{"POWERJOB_SHIM_LOG_FORMAT=json", "POWERJOB_SHIM_UPSTREAM=http://127.0.0.1:2"}, "--config", file, "--upstream", up)
	if code, _ := get(t, "http://"+p.Listen+"/"); code != 200 {
		t.Errorf("the client got %d", code)
	}
}

// zeros returns a body of n bytes.
func zeros(n int64) io.Reader { return io.LimitReader(zero{}, n) }

type zero struct{}

func (zero) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestLargeBodiesPassInLittleMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	const size, limit = 200 << 20, 64 << 10 // bytes, KiB
	got := make(chan int64, 1)
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/openApi/assert" {
			return // the probe of the start
		}
		got <- n
		if r.URL.Path == "/download" {
			w.Header().Set("Content-Length", strconv.Itoa(size))
			_, _ = io.Copy(w, zeros(size))
		}
	}))
	defer up.Close()
	p := start(t, nil, "--upstream", up.URL)
	for _, c := range []struct {
		path     string
		length   int64
		up, down int64
	}{
		{"/container/uploadJar", size, size, 0},
		{"/container/uploadJar", -1, size, 0}, // chunked
		{"/openApi/saveJob", size, size, 0},   // too large for deduplication
		{"/download", 0, 0, size},
	} {
		req, err := http.NewRequest(http.MethodPost, "http://"+p.Listen+c.path, io.NopCloser(zeros(c.up)))
		if err != nil {
			t.Fatal(err)
		}
		if req.ContentLength = c.length; c.up == 0 {
			req.Body = nil
		}
		begin := time.Now()
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		down, err := io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if n := <-got; err != nil || n != c.up || down != c.down || res.StatusCode != 200 {
			t.Errorf("%s: status %d, %d bytes up, %d down, %v", c.path, res.StatusCode, n, down, err)
		}
		t.Logf("%s: %v, peak resident memory %d KiB", c.path, time.Since(begin).Round(time.Millisecond), peakMemory(t, p.Pid()))
	}
	if kib := peakMemory(t, p.Pid()); kib > limit {
		t.Errorf("peak resident memory %d KiB, want at most %d", kib, limit)
	}
}

// peakMemory returns VmHWM of a process, in KiB.
func peakMemory(t *testing.T, pid int) int {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for s := bufio.NewScanner(f); s.Scan(); {
		if v, ok := strings.CutPrefix(s.Text(), "VmHWM:"); ok {
			kib, err := strconv.Atoi(strings.Fields(v)[0])
			if err != nil {
				t.Fatal(err)
			}
			return kib
		}
	}
	t.Fatal("no VmHWM")
	return 0
}
