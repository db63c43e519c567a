// Package redistest starts real Redis servers on loopback for tests: a single server,
// a primary with replicas under Sentinels, or a Cluster. They store nothing on disk,
// and are killed when the test ends.
//
// The server is the redis-server in PATH. The variable
// POWERJOB_SHIM_TEST_REDIS_SERVER names another one, of Redis from 6.2 on or
// Valkey, by its path or its name in PATH; test/redis/servers.sh runs the tests
// on several. A Cluster needs redis-cli as well, of any version.
package redistest

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"powerjob-shim/internal/children"
	"powerjob-shim/internal/freeport"
)

// patience is how long things may take on a busy machine.
const patience = 30 * time.Second

// Variable is the environment variable that says which server is started.
const Variable = "POWERJOB_SHIM_TEST_REDIS_SERVER"

// Server is a running server or sentinel.
type Server struct {
	Addr string // host:port
	Port int
	// User and Password are Do's login. No password: Do does not log in; no user: it
	// is the default user.
	User, Password string
	// TLS is for Do's connections; nil: they are plain.
	TLS *tls.Config

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
	t.Skipf("%s is not installed (Debian: redis-server)", program)
}

// Start runs a server with arguments as on its command line.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s := newServer(t, freePort(t))
	s.serve(args...)
	return s
}

func newServer(t testing.TB, port int) *Server {
	t.Helper()
	s := &Server{
		t: t, program: cmp.Or(os.Getenv(Variable), "redis-server"), dir: t.TempDir(),
		Port: port, Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
	}
	Need(t, s.program)
	t.Cleanup(s.Kill)
	return s
}

// serve runs s as a server that stores nothing on disk.
func (s *Server) serve(args ...string) {
	s.t.Helper()
	port := []string{"--port", strconv.Itoa(s.Port)}
	if s.TLS != nil {
		port = []string{"--port", "0", "--tls-port", strconv.Itoa(s.Port)}
	}
	s.args = append(port, "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--appendonly", "no", "--daemonize", "no")
	s.args = append(s.args, args...)
	s.Run()
}

// Run starts the server. After Kill it starts it again, empty.
func (s *Server) Run() {
	s.t.Helper()
	cmd := exec.Command(s.program, s.args...) //nolint:gosec // a test's own arguments
	cmd.Dir = s.dir
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = log.Close() }() // the child has its own descriptor
	cmd.Stdout, cmd.Stderr = log, log
	children.DieWithUs(cmd)
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	s.cmd = cmd
	s.mu.Unlock()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		err := s.ping()
		var refusal redis.Error // such as for a missing password
		if err == nil || errors.As(err, &refusal) && !redis.IsLoadingError(err) {
			return
		}
		if time.Now().After(deadline) {
			said, _ := os.ReadFile(log.Name())
			s.t.Fatalf("%s does not answer within %v: %v; it says:\n%s", s.program, patience, err, said)
		}
	}
}

// ping connects first by itself, because go-redis logs failed connections.
func (s *Server) ping() error {
	c, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return err
	}
	_ = c.Close()
	_, err = s.Do("PING")
	return err
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
	c := redis.NewClient(&redis.Options{
		Addr: s.Addr, Username: s.User, Password: s.Password, TLSConfig: s.TLS, DisableIdentity: true,
		MaxRetries: -1, DialerRetries: 1, DialTimeout: patience, ReadTimeout: patience,
	})
	defer func() { _ = c.Close() }()
	v, err := c.Do(context.Background(), args...).Result()
	return fmt.Sprint(v), err
}

// Addrs returns the servers' addresses.
func Addrs(servers []*Server) []string {
	all := make([]string, len(servers))
	for i, s := range servers {
		all[i] = s.Addr
	}
	return all
}

// freePort returns a free port; the port 10000 above it, on which nodes of a Cluster
// talk, is free, too.
func freePort(t testing.TB) int {
	t.Helper()
	port, err := freeport.Take(10000)
	if err != nil {
		t.Fatal(err)
	}
	return port
}
