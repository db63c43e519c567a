// Package redistest starts real Redis servers on loopback for tests: one, a
// primary with replicas under Sentinels, a Cluster. They keep nothing, and are
// killed when the test ends.
package redistest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// patience bounds what should happen soon on a busy machine.
const patience = 30 * time.Second

// Server is a running redis-server or redis-sentinel.
type Server struct {
	Addr string // host:port
	Port int

	t       testing.TB
	program string
	dir     string
	args    []string

	mu  sync.Mutex
	cmd *exec.Cmd // guarded by mu; nil while it is down
}

// Need skips the test where a program is not installed; under CI it fails.
func Need(t testing.TB, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", program)
	}
	t.Skipf("%s is not installed (Debian: redis-server, redis-sentinel)", program)
}

// Start runs a redis-server with arguments as on its command line.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	return start(t, "redis-server", freePort(t), args...)
}

func start(t testing.TB, program string, port int, args ...string) *Server {
	t.Helper()
	Need(t, program)
	s := &Server{
		t: t, program: program, dir: t.TempDir(), Port: port, Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
	}
	s.args = append([]string{
		"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--appendonly", "no", "--daemonize", "no",
	}, args...)
	if program == "redis-sentinel" {
		s.args = args
	}
	t.Cleanup(s.Kill)
	s.Run()
	return s
}

// Run starts the server, again after Kill: with nothing in it.
func (s *Server) Run() {
	s.t.Helper()
	cmd := exec.Command(s.program, s.args...) //nolint:gosec // a test's own arguments
	cmd.Dir = s.dir
	dieWithUs(cmd)
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	s.cmd = cmd
	s.mu.Unlock()
	Eventually(s.t, s.program+" takes connections", func() bool {
		c, err := net.DialTimeout("tcp", s.Addr, time.Second)
		if err != nil {
			return false
		}
		defer func() { _ = c.Close() }()
		_ = c.SetDeadline(time.Now().Add(time.Second))
		if _, err := c.Write([]byte("PING\r\n")); err != nil {
			return false
		}
		line, _ := bufio.NewReader(c).ReadString('\n')
		return strings.HasPrefix(line, "+PONG") || strings.HasPrefix(line, "-NOAUTH") || strings.HasPrefix(line, "-NOPERM")
	})
}

// Kill ends the server at once, as kill -9 does.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill() // it may be gone already
	_ = s.cmd.Wait()
	s.cmd = nil
}

// Signal sends a signal such as SIGSTOP.
func (s *Server) Signal(sig os.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		_ = s.cmd.Process.Signal(sig)
	}
}

// Do runs one command and returns its answer as text.
func (s *Server) Do(args ...any) (string, error) {
	c := redis.NewClient(&redis.Options{Addr: s.Addr, DisableIdentity: true})
	defer func() { _ = c.Close() }()
	v, err := c.Do(context.Background(), args...).Result()
	return fmt.Sprint(v), err
}

// Sentinels are a primary, replicas and three sentinels that watch them.
type Sentinels struct {
	Name      string
	Servers   []*Server
	Sentinels []*Server
}

// StartSentinels runs a primary with replicas under three sentinels, which
// notice within half a second that a primary is gone.
func StartSentinels(t testing.TB, replicas int) *Sentinels {
	t.Helper()
	Need(t, "redis-sentinel")
	set := &Sentinels{Name: "shim"}
	primary := Start(t, "--repl-diskless-sync-delay", "0")
	set.Servers = append(set.Servers, primary)
	for range replicas {
		set.Servers = append(set.Servers, Start(t, "--replicaof", "127.0.0.1 "+strconv.Itoa(primary.Port), "--repl-diskless-sync-delay", "0"))
	}
	for range 3 {
		port := freePort(t)
		file := filepath.Join(t.TempDir(), "sentinel.conf")
		config := fmt.Sprintf("port %d\nbind 127.0.0.1\nsentinel monitor %[2]s 127.0.0.1 %[3]d 2\nsentinel down-after-milliseconds %[2]s 500\n"+
			"sentinel failover-timeout %[2]s 3000\nsentinel parallel-syncs %[2]s 1\n", port, set.Name, primary.Port)
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		set.Sentinels = append(set.Sentinels, start(t, "redis-sentinel", port, file))
	}
	Eventually(t, "the sentinels know each other and the replicas", func() bool {
		for _, s := range set.Sentinels {
			info, err := s.Do("INFO", "sentinel")
			if err != nil || !strings.Contains(info, fmt.Sprintf("slaves=%d,sentinels=3", replicas)) {
				return false
			}
		}
		for _, s := range set.Servers[1:] {
			if info, err := s.Do("INFO", "replication"); err != nil || !strings.Contains(info, "master_link_status:up") {
				return false
			}
		}
		return true
	})
	return set
}

// Addrs are those of the sentinels.
func (s *Sentinels) Addrs() []string { return addrs(s.Sentinels) }

// Primary is the server that the sentinels take for the primary.
func (s *Sentinels) Primary() (*Server, error) {
	answer, err := s.Sentinels[0].Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", s.Name)
	if err != nil {
		return nil, err
	}
	for _, server := range s.Servers {
		if strings.Contains(answer, strconv.Itoa(server.Port)) {
			return server, nil
		}
	}
	return nil, errors.New("no primary is known: " + answer)
}

// StartCluster runs a Cluster of three primaries with a replica each.
func StartCluster(t testing.TB) []*Server {
	t.Helper()
	Need(t, "redis-cli")
	nodes := make([]*Server, 6)
	for i := range nodes {
		nodes[i] = Start(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-port", strconv.Itoa(freePort(t)),
			"--repl-diskless-sync-delay", "0")
	}
	args := append([]string{"--cluster", "create"}, addrs(nodes)...)
	args = append(args, "--cluster-replicas", "1", "--cluster-yes")
	if out, err := exec.Command("redis-cli", args...).CombinedOutput(); err != nil { //nolint:gosec // a test's own arguments
		t.Fatalf("making a cluster: %v\n%s", err, out)
	}
	Eventually(t, "the cluster is whole", func() bool {
		for _, n := range nodes {
			info, err := n.Do("CLUSTER", "INFO")
			if err != nil || !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_known_nodes:6") {
				return false
			}
		}
		return true
	})
	return nodes
}

// Addrs returns the servers' addresses.
func Addrs(servers []*Server) []string { return addrs(servers) }

func addrs(servers []*Server) []string {
	all := make([]string, len(servers))
	for i, s := range servers {
		all[i] = s.Addr
	}
	return all
}

// freePort is one that nothing listens on at the moment.
func freePort(t testing.TB) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	return ln.Addr().(*net.TCPAddr).Port
}

// Eventually waits until ok.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
