package redistest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"powerjob-shim/internal/await"
)

// Sentinels are a primary, replicas and three sentinels that watch them.
type Sentinels struct {
	Name      string
	Servers   []*Server
	Sentinels []*Server
}

// Guard has the passwords that a set of Sentinels asks its clients for. The zero
// value has none.
type Guard struct {
	Password         string // of the servers' default user
	SentinelPassword string // of the sentinels' default user
	SentinelUser     string // another user of the sentinels, as in an ACL file: "name on >password ..."; empty: none
}

// StartSentinels runs a primary with replicas under three sentinels, which
// notice within half a second that a primary is gone.
func StartSentinels(t testing.TB, replicas int) *Sentinels {
	t.Helper()
	return StartGuardedSentinels(t, replicas, Guard{})
}

// StartGuardedSentinels is StartSentinels with passwords.
func StartGuardedSentinels(t testing.TB, replicas int, guard Guard) *Sentinels {
	t.Helper()
	set := &Sentinels{Name: "shim"}
	args := []string{"--repl-diskless-sync-delay", "0"}
	if guard.Password != "" {
		args = append(args, "--requirepass", guard.Password, "--masterauth", guard.Password)
	}
	for i := range 1 + replicas {
		own := args
		if i > 0 {
			own = append([]string{"--replicaof", "127.0.0.1", strconv.Itoa(set.Servers[0].Port)}, args...)
		}
		s := newServer(t, freePort(t))
		s.Password = guard.Password
		s.serve(own...)
		set.Servers = append(set.Servers, s)
	}
	for range 3 {
		s := newServer(t, freePort(t))
		s.Password = guard.SentinelPassword
		file := filepath.Join(s.dir, "sentinel.conf")
		if err := os.WriteFile(file, []byte(set.config(s.Port, guard)), 0o600); err != nil {
			t.Fatal(err)
		}
		s.args = []string{file, "--sentinel"}
		s.Run()
		set.Sentinels = append(set.Sentinels, s)
	}
	await.That(t, "the sentinels know each other and the replicas", set.complete)
	return set
}

// complete reports whether the sentinels know each other and all replicas.
func (s *Sentinels) complete() bool {
	for _, sentinel := range s.Sentinels {
		info, err := sentinel.Do("INFO", "sentinel")
		if err != nil || !strings.Contains(info, fmt.Sprintf("slaves=%d,sentinels=3", len(s.Servers)-1)) {
			return false
		}
	}
	for _, server := range s.Servers[1:] {
		if info, err := server.Do("INFO", "replication"); err != nil || !strings.Contains(info, "master_link_status:up") {
			return false
		}
	}
	return true
}

// config returns the content of a sentinel's configuration file.
func (s *Sentinels) config(port int, guard Guard) string {
	lines := []string{
		"port " + strconv.Itoa(port), "bind 127.0.0.1",
		fmt.Sprintf("sentinel monitor %s 127.0.0.1 %d 2", s.Name, s.Servers[0].Port),
		fmt.Sprintf("sentinel down-after-milliseconds %s 500", s.Name),
		fmt.Sprintf("sentinel failover-timeout %s 3000", s.Name),
		fmt.Sprintf("sentinel parallel-syncs %s 1", s.Name),
	}
	if guard.Password != "" {
		lines = append(lines, fmt.Sprintf("sentinel auth-pass %s %s", s.Name, guard.Password))
	}
	if guard.SentinelPassword != "" {
		lines = append(lines, "requirepass "+guard.SentinelPassword)
	}
	if guard.SentinelUser != "" {
		lines = append(lines, "user "+guard.SentinelUser)
	}
	return strings.Join(lines, "\n") + "\n"
}

// Addrs returns the sentinels' addresses.
func (s *Sentinels) Addrs() []string { return Addrs(s.Sentinels) }

// Primary returns the server that the sentinels take for the primary.
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
