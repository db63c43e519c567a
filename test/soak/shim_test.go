package soak

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"powerjob-shim/internal/await"
	"powerjob-shim/internal/freeport"
	"powerjob-shim/internal/shimtest"
	"powerjob-shim/internal/testca"
)

func (s *server) start(t *testing.T) {
	t.Helper()
	ln, err := net.Listen("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	s.addr = ln.Addr().String()
	s.http = &http.Server{Handler: s.handler, ReadHeaderTimeout: time.Minute}
	go func(h *http.Server) { _ = h.Serve(ln) }(s.http)
}

// stop lets requests in flight end, like a server that is stopped in the usual way.
func (s *server) stop(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

// kill closes all connections at once, also those with requests in flight. Requests
// that have arrived are still executed.
func (s *server) kill() { _ = s.http.Close() }

// shim is the program with its configuration.
type shim struct {
	process            *shimtest.Process
	http, https, admin string
	dir                string
	servers            []*server // in the configuration
	trouble            *trouble
	token              string // of the admin listener
}

// stall is the listener's stall_timeout.
const stall = 3 * time.Second

func start(t *testing.T, servers []*server) *shim {
	t.Helper()
	s := &shim{dir: t.TempDir(), servers: slices.Clone(servers), http: free(t), https: free(t), admin: free(t), trouble: newTrouble(t)}
	s.trouble.shim = s
	s.renew(t)
	s.rotate(t, "first")
	s.write(t, 0)
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := shimtest.Command(t, "run", "--config", filepath.Join(s.dir, "shim.yaml"))
	cmd.Stderr = w
	s.process = shimtest.Start(t, cmd)
	_ = w.Close() // the child has it
	go stallingLog(r, log)
	await.That(t, "the shim is ready", func() bool {
		res, err := http.Get("http://" + s.admin + "/readyz")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	}, func() string { text, _ := os.ReadFile(log.Name()); return string(text) })
	return s
}

// free returns an address on which nothing listens at the moment.
func free(t *testing.T) string {
	t.Helper()
	port, err := freeport.Take()
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

func (s *shim) leave(out *server) {
	s.servers = slices.DeleteFunc(s.servers, func(o *server) bool { return o == out })
}
func (s *shim) enter(in *server) { s.servers = append(s.servers, in) }

// configure writes a configuration that depends on n, and makes the shim load it.
func (s *shim) configure(t *testing.T, n int) {
	t.Helper()
	s.write(t, n)
	s.process.Signal(t, syscall.SIGHUP)
}

func (s *shim) write(t *testing.T, n int) {
	t.Helper()
	var urls []string
	for _, srv := range s.servers {
		urls = append(urls, "http://"+srv.addr)
	}
	text := fmt.Sprintf(`listen:
  - {address: %q, max_connections: 400, stall_timeout: %s}
  - {address: %q, tls: {mode: files, files: [{cert: %s/tls.crt, key: %s/tls.key}]}}
admin: {address: %q, token_file: %s/token}
log: {level: info}
upstreams:
  default:
    servers: [%s]
    timeout: %ds
    health: {active: {interval: 1s}, passive: {}}
`, s.http, stall, s.https, s.dir, s.dir, s.admin, s.dir, strings.Join(urls, ", "), 20+n%5)
	routes := "routes:\n"
	for host, url := range s.trouble.servers {
		name := strings.TrimSuffix(host, ".test")
		text += fmt.Sprintf("  %s: {servers: [%q], unreachable: error}\n", name, url)
		routes += fmt.Sprintf("  - {name: %s, hosts: [%s], upstream: %s}\n", name, host, name)
	}
	text += routes + fmt.Sprintf("  - {name: main-%d, upstream: default}\n", n%2)
	replace(t, filepath.Join(s.dir, "shim.yaml"), []byte(text))
}

// renew makes another certificate.
func (s *shim) renew(t *testing.T) {
	t.Helper()
	cert, key := testca.New(t).Leaf(t, "localhost", "127.0.0.1")
	replace(t, filepath.Join(s.dir, "tls.key"), key)
	replace(t, filepath.Join(s.dir, "tls.crt"), cert)
}

// rotate gives the admin listener another token.
func (s *shim) rotate(t *testing.T, token string) {
	t.Helper()
	replace(t, filepath.Join(s.dir, "token"), []byte(token+"\n"))
	s.token = token
}

// replace replaces a file in one step.
func replace(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}
