package e2e

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"powerjob-shim/internal/children"
	"powerjob-shim/internal/standin/legacy"
)

// mortal is a server that can be killed and started again at its address.
type mortal struct {
	*legacy.Server
	address string
	http    *http.Server
	workers atomic.Int64 // requests under /server/
}

func startMortal(t *testing.T) *mortal {
	t.Helper()
	m := &mortal{Server: legacy.New(legacy.Options{}), address: "127.0.0.1:0"}
	m.start(t)
	t.Cleanup(m.kill)
	return m
}

func (m *mortal) start(t *testing.T) {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", m.address)
	if err != nil {
		t.Error(err) // not Fatal: callers have goroutines
		return
	}
	m.address = ln.Addr().String()
	m.http = &http.Server{Handler: m}
	go func(s *http.Server) { _ = s.Serve(ln) }(m.http)
}

// kill cuts all connections, as a process that is killed does.
func (m *mortal) kill() { _ = m.http.Close() }

// ServeHTTP answers what workers ask, too.
func (m *mortal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := ""
	switch r.URL.Path {
	case "/server/assert":
		answer = `{"success":true,"data":{"appId":1},"message":null}`
	case "/server/checkConnectivity":
		answer = `{"success":true,"data":true,"message":null}`
	case "/server/acquire":
		answer = `{"success":true,"data":"127.0.0.1:1","message":null}`
	default:
		m.Server.ServeHTTP(w, r)
		return
	}
	m.workers.Add(1)
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, answer)
}

// fourThreads saves n jobs of different names on four threads, and calls at after each
// one that has ended with how many have.
func fourThreads(c *javaClient, prefix string, n int, at func(done int)) map[string]result {
	var (
		mu      sync.Mutex // protects results
		results = map[string]result{}
		next    atomic.Int64
		all     sync.WaitGroup
	)
	for thread := range 4 {
		all.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				name := fmt.Sprintf("%s-%d", prefix, i)
				r := c.call(thread, "saveJob", job(name))
				mu.Lock()
				results[name] = r
				at(len(results))
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return results
}

// overtaken is what a client throws when another of its threads has gone on to the
// next address just before: it leaves the new current address out (class
// ClusterRequestService), also without a shim in between. Nothing is sent.
const overtaken = "no server available"

// badStatus is what a 5.x client throws on any status but 200; a 4.x client names
// the status.
const badStatus = "REMOTE_SERVER_INNER_EXCEPTION"

// wantFailover holds that calls which failed were in flight at a kill, and that
// no call was executed twice.
func wantFailover(t *testing.T, results map[string]result, kills int, servers ...*mortal) {
	t.Helper()
	executed := map[string]int{}
	for _, s := range servers {
		for _, j := range s.State().Jobs {
			executed[j.Name]++
		}
	}
	failed := 0
	for name, r := range results {
		ok := r.Exception == "" && r.Success
		switch n := executed[name]; {
		case n > 1:
			t.Errorf("%s was executed %d times", name, n)
		case ok && n == 0:
			t.Errorf("%s succeeded and was not executed", name)
		case !ok && strings.Contains(r.Exception, overtaken) && n == 0, !ok && (strings.Contains(r.Exception, "code=504") || strings.Contains(r.Exception, badStatus)):
			failed++
			t.Logf("in flight at a kill: %s, executed %d times, %v", name, n, r)
		case !ok:
			t.Errorf("%s failed otherwise than with 504: %v", name, r)
		}
	}
	if failed > 4*kills {
		t.Errorf("%d of %d calls failed, more than one for each of 4 threads and %d kills", failed, len(results), kills)
	}
	t.Logf("%d calls, %d failed, %d kills", len(results), failed, kills)
}

// wantOnly504 holds that no call got another status than 200 and 504; those that
// were left unanswered are counted as 502.
func wantOnly504(t *testing.T, shims ...*shim) {
	t.Helper()
	for _, s := range shims {
		bad, left := s.metric(t, "powerjob_shim_requests_total", "code", "502"), s.metric(t, "powerjob_shim_unanswered_total", "reason", "connect")
		if bad != left {
			t.Errorf("%v calls failed with 502, and %v were left unanswered", bad, left)
		}
		for _, code := range []string{"400", "404", "500", "503"} {
			if n := s.metric(t, "powerjob_shim_requests_total", "code", code); n != 0 {
				t.Errorf("%d calls got %s", n, code)
			}
		}
	}
}

func TestClientsGoOnToTheNextShimWhereAServerIsDown(t *testing.T) {
	t.Parallel()
	need(t, "java", "mvn")
	for _, version := range []string{v436, v510, v511} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			a, b := startMortal(t), startMortal(t)
			first, second := startShim(t, a.address), startShim(t, b.address)
			client := newClient(t, version, standInApp, first.Listen, second.Listen)
			wantFailover(t, fourThreads(client, "kill", 600, func(done int) {
				if done == 200 {
					a.kill()
				}
			}), 1, a, b)
			wantOnly504(t, first, second)
			if n := len(b.State().Jobs); n < 350 {
				t.Errorf("the second server has %d jobs only", n)
			}

			// With the first address's server down, a client starts.
			late := newClient(t, version, standInApp, first.Listen, second.Listen)
			wantFailover(t, fourThreads(late, "start", 20, func(int) {}), 0, a, b)

			a.start(t)
			wantFailover(t, fourThreads(client, "rolling", 600, func(done int) {
				switch done {
				case 100:
					a.kill()
				case 200:
					a.start(t)
				case 300:
					b.kill()
				case 400:
					b.start(t)
				}
			}), 2, a, b)
			wantOnly504(t, first, second)
		})
	}
}

func TestAWorkerStartsWhereTheFirstAddressesServerIsDown(t *testing.T) {
	need(t, "java", "mvn")
	a, b := startMortal(t), startMortal(t)
	first, second := startShim(t, a.address), startShim(t, b.address)
	a.kill()
	_, port := freePort(t)
	args := append(javaFlags[:len(javaFlags):len(javaFlags)], "-cp", classpath(t, "worker-5.1.0"), "WorkerDriver",
		first.Listen+","+second.Listen, standInApp.name, strconv.Itoa(port), t.TempDir())
	cmd := exec.Command("java", args...)
	children.DieWithUs(cmd)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil || !strings.Contains(out.String(), "\nworker started") {
		t.Errorf("%v\n%s", err, out.String())
	}
	if b.workers.Load() == 0 {
		t.Error("the worker asked the second server nothing")
	}
}
