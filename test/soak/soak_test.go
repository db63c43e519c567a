// Package soak runs the program for minutes under a mixed load while its
// configuration, its servers and its certificates change, beside clients that
// call the servers directly: make soak.
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

	"powerjob-shim/internal/client"
	"powerjob-shim/internal/legacy"
)

const (
	callersEach = 4                     // clients by http, by https, and directly
	pause       = 20 * time.Millisecond // between a client's calls
	warmUp      = 20 * time.Second
)

func TestSoak(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv("SOAK"))
	if err != nil {
		t.Skip("runs with SOAK=5m; see make soak")
	}
	db := legacy.New(legacy.Options{})
	servers := make([]*server, 3)
	for i := range servers {
		servers[i] = newServer(t, db)
	}
	shim := start(t, servers)

	end := time.Now().Add(length)
	var wg sync.WaitGroup
	through, direct := newTally(), newTally()
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
			{"http", through, []string{shim.http}, nil},
			{"https", through, []string{shim.https}, &tls.Config{InsecureSkipVerify: true}},
			{"direct", direct, addresses, nil},
		} {
			wg.Go(func() { c.tally.call(t, fmt.Sprint(c.name, i), end, c.address, c.tls) })
		}
	}
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
		case 6: // and another one goes away unannounced, for two seconds
			servers[(tick/8+1)%len(servers)].stop(t)
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
		time.Sleep(time.Second)
		samples = append(samples, shim.usage(t))
	}
	wg.Wait()

	made := map[string]int{}
	for _, e := range db.Executions() {
		if e.Call == "saveJob" {
			made[e.Input]++
		}
	}
	report := fmt.Sprintf("%v, %d reloads, %d certificates, %d announced and %d unannounced stops of a server\n\n", length, reloads, renewals, stops, stops)
	report += fmt.Sprintf("through the shim: %v\ndirectly:         %v\n\n", through, direct)
	report += fmt.Sprintf("saves executed more than once: %d of %d through the shim, %d of %d directly\n\n",
		through.twice(made), len(through.saved), direct.twice(made), len(direct.saved))
	early, late := mean(samples, warmUp), mean(samples, time.Duration(len(samples)*3/4)*time.Second)
	report += fmt.Sprintf("the shim after warming up:    %v\nthe shim in the last quarter: %v\n", early, late)
	t.Log("\n" + report)
	if file := os.Getenv("SOAK_REPORT"); file != "" {
		if err := os.WriteFile(file, []byte(report), 0o600); err != nil {
			t.Error(err)
		}
	}
	if direct.failed() > 0 {
		t.Errorf("%d calls failed directly", direct.failed())
	}
	// A call that a stopping server throws away may have been executed: the
	// shim says so, where the client by itself silently sends it again.
	if n := through.unknown(); n != through.failed() || n > stops {
		t.Errorf("%d calls failed through the shim, %d of them with an unknown outcome, in %d unannounced stops", through.failed(), n, stops)
	}
	if through.twice(made) > 0 {
		t.Errorf("%d saves through the shim were executed twice", through.twice(made))
	}
	if direct.twice(made) == 0 {
		t.Error("directly no save was executed twice: this test cannot fail")
	}
	if len(samples) > int(3*warmUp/time.Second) && (late.memory > early.memory*12/10 || late.goroutines > early.goroutines+20 || late.descriptors > early.descriptors+20) {
		t.Errorf("not flat: %v, then %v", early, late)
	}
	shim.stop(t)
}

// tally is what became of calls.
type tally struct {
	ok       atomic.Int64
	thrown   atomic.Int64 // requests whose connection ended before the answer began
	mu       sync.Mutex
	failures map[string]int
	saved    []string // job names
}

func newTally() *tally { return &tally{failures: map[string]int{}} }

func (c *tally) failed() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, k := range c.failures {
		n += k
	}
	return n
}

// unknown returns how many failures say that the call may have been executed.
func (c *tally) unknown() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for why, k := range c.failures {
		if strings.Contains(why, "may have been executed") {
			n += k
		}
	}
	return n
}

// twice returns how many of the saves were executed more than once.
func (c *tally) twice(made map[string]int) int {
	mine := make(map[string]bool, len(c.saved))
	for _, name := range c.saved {
		mine[name] = true
	}
	n := 0
	for input, times := range made {
		_, name, _ := strings.Cut(input, "soak-")
		name, _, _ = strings.Cut(name, "-end")
		if times > 1 && mine[name] {
			n++
		}
	}
	return n
}

func (c *tally) String() string {
	s := fmt.Sprintf("%d calls answered, %d failed", c.ok.Load(), c.failed())
	if n := c.thrown.Load(); n > 0 {
		s += fmt.Sprintf(", %d requests thrown away by a server and silently sent again", n)
	}
	for _, why := range slices.Sorted(maps.Keys(c.failures)) {
		s += fmt.Sprintf("\n    %d x %s", c.failures[why], why)
	}
	return s
}

// call is one client: most calls are saves, each of another job.
func (c *tally) call(t *testing.T, name string, end time.Time, addresses []string, secure *tls.Config) {
	transport := &client.SocketTransport{TLS: secure, Dial: c.dial} // Dial is for plain HTTP
	defer transport.CloseIdle()
	cl, err := client.New(client.Config{Addresses: addresses, AppName: "app1", Password: "pw", Transport: transport})
	if err != nil {
		t.Errorf("client %s: %v", name, err)
		return
	}
	for n := 0; time.Now().Before(end); n++ {
		var err error
		switch n % 5 {
		case 0, 1, 2:
			job := fmt.Sprint(name, "-", n)
			c.mu.Lock()
			c.saved = append(c.saved, job)
			c.mu.Unlock()
			_, err = cl.Call("saveJob", client.Params{"jobName": "soak-" + job + "-end"})
		case 3:
			_, err = cl.Call("runJob", client.Params{"jobId": 1, "instanceParams": fmt.Sprint(name, n)})
		default:
			_, err = cl.Call("queryJob", client.Params{"idEq": 1})
		}
		if err != nil {
			c.mu.Lock()
			c.failures[reason(err)]++
			c.mu.Unlock()
		} else {
			c.ok.Add(1)
		}
		time.Sleep(rand.N(2 * pause))
	}
}

// dial makes connections that count what the client does not tell.
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

var address = regexp.MustCompile(`127\.0\.0\.1:\d+`)

func reason(err error) string {
	var status *client.StatusError
	if errors.As(err, &status) {
		_, message, _ := strings.Cut(status.Body, "powerjob-shim: ")
		message = address.ReplaceAllString(strings.TrimSuffix(message, `"}`), "…")
		return fmt.Sprintf("status %d: %s", status.Status, message)
	}
	return strings.ReplaceAll(err.Error(), "\n", "; ")
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
type usage struct{ memory, goroutines, descriptors int }

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
	return usage{sum.memory / n, sum.goroutines / n, sum.descriptors / n}
}

func (s *shim) usage(t *testing.T) usage {
	res, err := http.Get("http://" + s.admin + "/metrics")
	if err != nil {
		t.Error(err)
		return usage{}
	}
	defer func() { _ = res.Body.Close() }()
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
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("the shim ended with %v", err)
	}
}
