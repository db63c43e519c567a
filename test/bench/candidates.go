package main

import (
	"embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"text/template"
	"time"

	"powerjob-shim/internal/freeport"
)

//go:embed config
var configFiles embed.FS

// tools are the programs that candidates need and where they may write.
type tools struct{ shim, caddy, self, dir string }

// candidate is a program in front of the server, or none.
type candidate struct {
	name    string
	exact   bool // promises the header in exact case
	dedup   bool // executes a repeated call once
	address string
	port    string   // address's
	admin   string   // the address of a shim's admin listener
	up      string   // the server's address
	config  string   // file under config; empty: none
	command []string // "{config}", "{address}", "{upstream}", "{dir}" are filled in
	redis   bool     // needs a redis-server
	log     bool     // writes an access log to a file
	tls     bool     // is called over TLS
	tools   tools
	process []*exec.Cmd
}

func candidates(t tools, up string) []*candidate {
	list := []*candidate{
		{name: "direct", address: up},
		{name: "shim: header only", exact: true, config: "shim-header.yaml", command: []string{t.shim, "run", "--config", "{config}"}},
		{name: "shim", exact: true, dedup: true, config: "shim.yaml", command: []string{t.shim, "run", "--config", "{config}"}},
		{name: "shim, access log", exact: true, dedup: true, log: true, config: "shim.yaml", command: []string{t.shim, "run", "--config", "{config}"}},
		{name: "shim: gate", exact: true, dedup: true, config: "shim-gate.yaml", command: []string{t.shim, "run", "--config", "{config}"}},
		{name: "shim: redis", exact: true, dedup: true, redis: true, config: "shim-redis.yaml", command: []string{t.shim, "run", "--config", "{config}"}},
		{name: "shim: TLS", exact: true, dedup: true, tls: true, config: "shim-tls.yaml", command: []string{t.shim, "run", "--config", "{config}"}},
		{name: plainName, command: []string{t.self, "plain", "{address}", "{upstream}"}},
		{name: "plain, BufferPool", command: []string{t.self, "plain-pool", "{address}", "{upstream}"}},
		{name: "plain, TLS", tls: true, command: []string{t.self, "plain-tls", "{address}", "{upstream}"}},
		{name: "nginx: add_header", exact: true, config: "nginx.conf", command: []string{"nginx", "-p", "{dir}", "-c", "{config}"}},
		{name: "nginx, access log", exact: true, log: true, config: "nginx.conf", command: []string{"nginx", "-p", "{dir}", "-c", "{config}"}},
		{name: "nginx: proxy_cache", exact: true, dedup: true, config: "nginx-cache.conf", command: []string{"nginx", "-p", "{dir}", "-c", "{config}"}},
		{name: "nginx: Lua", exact: true, dedup: true, config: "nginx-lua.conf", command: []string{"nginx", "-p", "{dir}", "-c", "{config}"}},
		{name: "HAProxy", exact: true, config: "haproxy.cfg", command: []string{"haproxy", "-f", "{config}"}},
		{name: "Caddy", config: "Caddyfile", command: []string{t.caddy, "run", "--config", "{config}", "--adapter", "caddyfile"}},
	}
	for _, c := range list {
		c.tools, c.up = t, up
	}
	return list
}

// start runs the candidate and waits until it takes connections.
func (c *candidate) start() error { //nolint:gocognit // steps in a row, each of which may fail
	if len(c.command) == 0 {
		return nil
	}
	if _, err := exec.LookPath(c.command[0]); err != nil {
		return fmt.Errorf("%s is missing", filepath.Base(c.command[0]))
	}
	ports, err := freePorts(3)
	if err != nil {
		return err
	}
	c.port = strconv.Itoa(ports[0])
	c.address = "127.0.0.1:" + c.port
	c.admin = "127.0.0.1:" + strconv.Itoa(ports[1])
	dir := filepath.Join(c.tools.dir, strings.NewReplacer(" ", "-", ":", "", ",", "").Replace(c.name))
	if err := os.MkdirAll(filepath.Join(dir, "logs"), 0o755); err != nil { //nolint:gosec // nginx's workers are another user
		return err
	}
	_ = os.Chmod(c.tools.dir, 0o755) //nolint:gosec // nginx's workers again
	values := map[string]string{"address": c.address, "port": c.port, "admin": c.admin, "upstream": c.up, "dir": dir, "log": strconv.FormatBool(c.log)}
	if c.redis {
		if err := c.startRedis(dir, strconv.Itoa(ports[2]), values); err != nil {
			return err
		}
	}
	config := filepath.Join(dir, c.config)
	if c.config != "" {
		t, err := template.ParseFS(configFiles, "config/"+c.config)
		if err != nil {
			return err
		}
		f, err := os.Create(config) //nolint:gosec // our own directory
		if err != nil {
			return err
		}
		if err := errors.Join(t.Execute(f, values), f.Close()); err != nil {
			return err
		}
	}
	args := make([]string, len(c.command))
	for i, a := range c.command {
		args[i] = strings.NewReplacer("{config}", config, "{address}", c.address, "{upstream}", c.up, "{dir}", dir).Replace(a)
	}
	if err := c.spawn(dir, args); err != nil {
		return err
	}
	return c.wait(c.address, dir)
}

func (c *candidate) startRedis(dir, port string, values map[string]string) error {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return errors.New("redis-server is missing")
	}
	values["redis"] = "127.0.0.1:" + port
	return c.spawn(dir, []string{"redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", dir})
}

func (c *candidate) spawn(dir string, args []string) error {
	out, err := os.OpenFile(filepath.Join(dir, "output"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644) //nolint:gosec // our own directory
	if err != nil {
		return err
	}
	cmd := exec.Command(args[0], args[1:]...) //nolint:gosec // the candidates above
	cmd.Stdout, cmd.Stderr, cmd.Dir = out, out, dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "GOMAXPROCS=1")
	if err := cmd.Start(); err != nil {
		return err
	}
	c.process = append(c.process, cmd)
	return nil
}

func (c *candidate) wait(address, dir string) error {
	for range 100 {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			return conn.Close()
		}
		time.Sleep(50 * time.Millisecond)
	}
	out, _ := os.ReadFile(filepath.Join(dir, "output")) //nolint:gosec // our own directory
	return fmt.Errorf("it did not start: %s", out)
}

func (c *candidate) stop() {
	for _, p := range c.process {
		_ = p.Process.Signal(syscall.SIGTERM)
		_ = p.Wait()
	}
}

// freePorts returns n different ports that nobody listens on.
func freePorts(n int) (ports []int, err error) {
	for range n {
		port, err := freeport.Take()
		if err != nil {
			return nil, err
		}
		ports = append(ports, port)
	}
	return ports, nil
}
