// Package soak runs the program for minutes under a mixed load while its
// configuration, its servers and its certificates change, and compares it with
// clients that call the servers directly: make soak.
package soak

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"powerjob-shim/internal/shimtest"
	"powerjob-shim/internal/standin/client"
	"powerjob-shim/internal/standin/legacy"
)

const (
	callersEach = 4                     // clients by http, by https, and directly
	pause       = 20 * time.Millisecond // between a client's calls
	warmUp      = 20 * time.Second
	answerTime  = 5 * time.Millisecond // of a server, after the execution
	atKill      = 500 * time.Millisecond
)

func TestMain(m *testing.M) { os.Exit(shimtest.Main(m)) }

func TestSoak(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv("SOAK"))
	if err != nil {
		t.Skip("runs with SOAK=5m; see make soak")
	}
	db := legacy.New(legacy.Options{Delay: answerTime})
	servers := make([]*server, 3)
	for i := range servers {
		servers[i] = newServer(t, db)
	}
	shim := start(t, servers)

	end := time.Now().Add(length)
	var wg sync.WaitGroup
	through, direct := newTally(), newTally()
	var lastKill atomic.Int64 // Unix nanoseconds
	for i := range callersEach {
		addresses := make([]string, len(servers))
		for j, s := range servers {
			addresses[(i+j)%len(servers)] = s.addr
		}
		for _, c := range []struct {
			name    string
			tally   *tally
			address []string
			tls     *tls.Config
		}{
			{"http", through, twice(shim.http), nil},
			{"https", through, twice(shim.https), &tls.Config{InsecureSkipVerify: true}},
			{"direct", direct, addresses, nil},
		} {
			wg.Go(func() { c.tally.call(t, fmt.Sprint(c.name, i), end, &lastKill, c.address, c.tls) })
		}
	}
	shim.trouble.start(&wg, end)
	reloads, renewals, stops := 0, 0, 0
	var samples []usage
	for tick := 0; time.Now().Before(end); tick++ {
		switch out := servers[tick/8%len(servers)]; tick % 8 {
		case 1: // leaves, as an operator would have it
			shim.leave(out)
			shim.configure(t, tick)
		case 3:
			out.stop(t)
		case 5:
			out.start(t)
			shim.enter(out)
			shim.configure(t, tick)
		case 6: // and another one is killed, for two seconds
			lastKill.Store(time.Now().UnixNano())
			servers[(tick/8+1)%len(servers)].kill()
			stops++
			shim.configure(t, tick)
		case 0:
			if tick > 0 {
				servers[((tick-1)/8+1)%len(servers)].start(t)
			}
			shim.renew(t)
			renewals++
			shim.configure(t, tick)
		default:
			shim.configure(t, tick)
		}
		if tick%8 != 3 {
			reloads++
		}
		shim.rotate(t, fmt.Sprint("token-", tick))
		time.Sleep(time.Second)
		samples = append(samples, shim.usage(t))
	}
	wg.Wait()

	executed := map[string]int{} // by mark
	for _, e := range db.Executions() {
		executed[mark.FindString(e.Input)]++
	}
	report := fmt.Sprintf("%v, %d reloads, %d certificates, %d rotated tokens, %d servers taken out and %d killed\n", length, reloads, renewals, len(samples), stops, stops)
	report += fmt.Sprintf("a reader of the log that stalls for 5 s of 10: %d lines dropped\n%v\n", samples[len(samples)-1].dropped, shim.trouble)
	report += fmt.Sprintf("through the shim: %v\n    %v\ndirectly:         %v\n    %v\n\n", through, through.times(executed), direct, direct.times(executed))
	early, late := mean(samples, warmUp), mean(samples, time.Duration(len(samples)*3/4)*time.Second)
	report += fmt.Sprintf("the shim after warming up:    %v\nthe shim in the last quarter: %v\n", early, late)
	t.Log("\n" + report)
	if file := os.Getenv("SOAK_REPORT"); file != "" {
		if err := os.WriteFile(file, []byte(report), 0o600); err != nil {
			t.Error(err)
		}
	}
	for _, f := range direct.failures {
		t.Errorf("directly, %s failed: %s", f.mark, f.why)
	}
	for _, f := range through.failures {
		// A change in flight to a server that was killed may have been executed. The
		// shim says so; a direct client sends it again in any case.
		if !f.change || !f.unknown || f.sinceKill > atKill {
			t.Errorf("%s failed, %v after a server was killed, and would not have failed directly: %s", f.mark, f.sinceKill, f.why)
		}
	}
	for kind, n := range shim.trouble.lost {
		t.Errorf("%s: %d went otherwise than they should, such as: %s", kind, n, shim.trouble.why[kind])
	}
	if n := through.times(executed); n.more > 0 || n.lost > 0 {
		t.Errorf("through the shim: %v", n)
	}
	if direct.times(executed).more == 0 {
		t.Error("directly no change was executed twice: this test cannot fail")
	}
	if len(samples) > int(3*warmUp/time.Second) && (late.memory > early.memory*12/10 || late.goroutines > early.goroutines+20 || late.descriptors > early.descriptors+20) {
		t.Errorf("not flat: %v, then %v", early, late)
	}
	shim.stop(t)
}

// twice returns two addresses of the same listener. Clients with several servers get
// several shims: if an answer breaks off or does not come in time, they try the next
// address by themselves.
func twice(address string) []string {
	return []string{address, strings.Replace(address, "127.0.0.1", "localhost", 1)}
}

// tally counts the outcomes of calls.
type tally struct {
	ok     atomic.Int64
	thrown atomic.Int64 // requests whose connection ended before the answer began

	mu       sync.Mutex // protects what follows
	failures []failure
	changes  map[string]bool // by a change's mark: whether it was answered
}

// failure is a call that failed.
type failure struct {
	mark, why string
	change    bool
	unknown   bool          // the caller was told that it may have been executed
	sinceKill time.Duration // from the last kill of a server to the call's end
}

func newTally() *tally { return &tally{changes: map[string]bool{}} }

// times counts how often changes were executed.
type times struct {
	changes int
	more    int // executed more than once
	lost    int // answered, but not executed

	unknown         int // changes whose callers were told that the outcome is not known
	unknownExecuted int
}

func (c *tally) times(executed map[string]int) (n times) {
	for mark, answered := range c.changes {
		n.changes++
		if executed[mark] > 1 {
			n.more++
		}
		if answered && executed[mark] == 0 {
			n.lost++
		}
	}
	for _, f := range c.failures {
		if f.unknown {
			n.unknown++
			n.unknownExecuted += min(1, executed[f.mark])
		}
	}
	return n
}

func (n times) String() string {
	s := fmt.Sprintf("of %d changes %d were executed more than once", n.changes, n.more)
	if n.unknown > 0 {
		s += fmt.Sprintf("; %d have an unknown outcome, of which %d were executed, once", n.unknown, n.unknownExecuted)
	}
	return s
}

func (c *tally) String() string {
	s := fmt.Sprintf("%d calls answered, %d failed", c.ok.Load(), len(c.failures))
	if n := c.thrown.Load(); n > 0 {
		s += fmt.Sprintf(", %d requests thrown away by a server and silently sent again", n)
	}
	reasons := map[string]int{}
	for _, f := range c.failures {
		reasons[f.why]++
	}
	for _, why := range slices.Sorted(maps.Keys(reasons)) {
		s += fmt.Sprintf("\n    %d x %s", reasons[why], why)
	}
	return s
}

// mark matches the part of a call's parameters that no other call has.
var mark = regexp.MustCompile(`soak-[a-z]+\d-\d+`)

// call runs one client until end. Most of its calls change something; each has a mark
// of its own.
func (c *tally) call(t *testing.T, name string, end time.Time, lastKill *atomic.Int64, addresses []string, secure *tls.Config) {
	transport := &client.SocketTransport{TLS: secure, Dial: c.dial} // Dial is for plain HTTP
	defer transport.CloseIdle()
	cl, err := client.New(client.Config{Addresses: addresses, AppName: "app1", Password: "pw", Transport: transport})
	if err != nil {
		t.Errorf("client %s: %v", name, err)
		return
	}
	for n := 0; time.Now().Before(end); n++ {
		mark, change := fmt.Sprintf("soak-%s-%d", name, n), true
		var err error
		switch n % 5 {
		case 0, 1:
			_, err = cl.Call("saveJob", client.Params{"jobName": mark})
		case 2:
			_, err = cl.Call("runJob", client.Params{"jobId": 1, "instanceParams": mark})
		default:
			change = false
			_, err = cl.Call("queryJob", client.Params{"jobNameLike": mark})
		}
		c.note(mark, change, err, time.Since(time.Unix(0, lastKill.Load())))
		time.Sleep(rand.N(2 * pause))
	}
}

func (c *tally) note(mark string, change bool, err error, sinceKill time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if change {
		c.changes[mark] = err == nil
	}
	if err == nil {
		c.ok.Add(1)
		return
	}
	why, unknown := reason(err)
	c.failures = append(c.failures, failure{mark, why, change, unknown, sinceKill})
}

// dial makes connections that count thrown requests, which the client sends again
// without a word.
func (c *tally) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &counted{Conn: conn, tally: c}, nil
}

type counted struct {
	net.Conn
	tally   *tally
	waiting bool // a request is written, nothing of its answer has come
}

func (c *counted) Write(p []byte) (int, error) {
	c.waiting = true
	return c.Conn.Write(p)
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.waiting && n == 0 && err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.tally.thrown.Add(1)
	}
	c.waiting = c.waiting && n == 0
	return n, err
}

var address = regexp.MustCompile(`(127\.0\.0\.1|localhost):\d+`)

// reason says why a call failed, and whether the caller was told that it may have been
// executed.
func reason(err error) (why string, unknown bool) {
	var status *client.StatusError
	if errors.As(err, &status) {
		_, message, _ := strings.Cut(status.Body, "powerjob-shim: ")
		message = address.ReplaceAllString(strings.TrimSuffix(message, `"}`), "…")
		return fmt.Sprintf("status %d: %s", status.Status, message),
			status.Status == http.StatusGatewayTimeout && strings.Contains(message, "may have been executed")
	}
	return strings.ReplaceAll(err.Error(), "\n", "; "), false
}

// server is one address of the stand-in.
type server struct {
	addr    string
	handler http.Handler
	http    *http.Server
}

func newServer(t *testing.T, h http.Handler) *server {
	s := &server{addr: "127.0.0.1:0", handler: h}
	s.start(t)
	t.Cleanup(func() { _ = s.http.Close() })
	return s
}

// usage is what the shim uses at one moment.
type usage struct{ memory, goroutines, descriptors, dropped int }

func (u usage) String() string {
	return fmt.Sprintf("%d MiB resident, %d goroutines, %d descriptors", u.memory>>20, u.goroutines, u.descriptors)
}

func mean(samples []usage, from time.Duration) usage {
	i := min(int(from/time.Second), len(samples)-1)
	part := samples[i:min(i+max(10, len(samples)/4), len(samples))]
	var sum usage
	for _, s := range part {
		sum.memory, sum.goroutines, sum.descriptors = sum.memory+s.memory, sum.goroutines+s.goroutines, sum.descriptors+s.descriptors
	}
	n := len(part)
	return usage{memory: sum.memory / n, goroutines: sum.goroutines / n, descriptors: sum.descriptors / n}
}

func (s *shim) usage(t *testing.T) usage {
	req, err := http.NewRequest(http.MethodGet, "http://"+s.admin+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return usage{}
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		t.Errorf("the metrics: status %d with the token that is in the file now", res.StatusCode)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	var u usage
	for line := range strings.Lines(string(body)) {
		var v float64
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if _, err := fmt.Sscan(value, &v); err != nil {
			continue
		}
		switch name {
		case "process_resident_memory_bytes":
			u.memory = int(v)
		case "go_goroutines":
			u.goroutines = int(v)
		case "powerjob_shim_log_dropped_total":
			u.dropped = int(v)
		case "process_open_fds":
			u.descriptors = int(v)
		case "powerjob_shim_config_last_reload_successful":
			if v != 1 {
				t.Error("a reload failed")
			}
		}
	}
	return u
}

func (s *shim) stop(t *testing.T) {
	s.process.Signal(t, syscall.SIGTERM)
	if code := s.process.Exit(t); code != 0 {
		t.Errorf("the shim ended with exit code %d", code)
	}
}
