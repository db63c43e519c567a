package wire

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"powerjob-shim/internal/config"
	"powerjob-shim/internal/redistest"
)

// asks makes a connection and asks once.
func asks(t *testing.T, c redis.UniversalClient) error {
	t.Helper()
	return c.Ping(t.Context()).Err()
}

// cut ends the client's connections, as a server does that restarts. It needs
// no connection but Do's own.
func cut(t *testing.T, s *redistest.Server) {
	t.Helper()
	if _, err := s.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func newRedisClient(t *testing.T, c *config.Redis) redis.UniversalClient {
	t.Helper()
	client, err := redisClient(c, c.Timeout, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func TestARotatedRedisPasswordCountsForTheNextConnection(t *testing.T) {
	server := redistest.Start(t, "--requirepass", "old")
	server.Password = "old"
	file := filepath.Join(t.TempDir(), "password")
	put(t, file, "old\n")
	client := newRedisClient(t, &config.Redis{Addresses: []string{server.Addr}, Password: "old", PasswordFile: file})
	if err := asks(t, client); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Do("CONFIG", "SET", "requirepass", "new"); err != nil {
		t.Fatal(err)
	}
	server.Password = "new"
	put(t, file, "new\n")
	cut(t, server)
	// The first question may still go to a connection that was cut.
	redistest.Eventually(t, "the new password is used", func() bool { return asks(t, client) == nil })

	for name, change := range map[string]func(){
		"an empty file": func() { put(t, file, "\n") },
		"no file":       func() { _ = os.Remove(file) },
	} {
		change()
		cut(t, server)
		redistest.Eventually(t, name+": what it held before counts", func() bool { return asks(t, client) == nil })
	}
}

func TestRotatedRedisCertificatesCountForTheNextConnection(t *testing.T) {
	server, authority := redistest.StartTLS(t)
	_, other := redistest.StartTLS(t)
	dir := t.TempDir()
	ca, cert, key := filepath.Join(dir, "ca"), filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	use := func(a *redistest.Authority) {
		for to, from := range map[string]string{ca: a.CAFile, cert: a.CertFile, key: a.KeyFile} {
			content, err := os.ReadFile(from)
			if err != nil {
				t.Fatal(err)
			}
			put(t, to, string(content))
		}
	}
	use(other)
	client := newRedisClient(t, &config.Redis{Addresses: []string{server.Addr}, TLS: &config.UpstreamTLS{CAFile: ca, CertFile: cert, KeyFile: key}})
	if err := asks(t, client); err == nil {
		t.Error("a server of another authority is believed")
	}
	use(authority)
	if err := asks(t, client); err != nil {
		t.Errorf("with the right files: %v", err)
	}
	for _, file := range []string{ca, cert, key} {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	cut(t, server)
	redistest.Eventually(t, "what the files held before counts", func() bool { return asks(t, client) == nil })
}
