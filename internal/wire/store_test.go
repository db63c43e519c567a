package wire

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"powerjob-shim/internal/await"
	"powerjob-shim/internal/config"
	"powerjob-shim/internal/redistest"
)

// asks connects and sends one command.
func asks(t *testing.T, c redis.UniversalClient) error {
	t.Helper()
	return c.Ping(t.Context()).Err()
}

// cut closes the client's connections, as a restarting server does. It sends its command
// by Do, on another connection.
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
	// The first command may still go to a connection that was closed.
	await.That(t, "the new password is used", func() bool { return asks(t, client) == nil })

	for name, change := range map[string]func(){
		"an empty file": func() { put(t, file, "\n") },
		"no file":       func() { _ = os.Remove(file) },
	} {
		change()
		cut(t, server)
		await.That(t, name+": what it held before counts", func() bool { return asks(t, client) == nil })
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
	await.That(t, "what the files held before counts", func() bool { return asks(t, client) == nil })
}

// The sentinels' own password and its file change while the process runs.
func TestARotatedSentinelPasswordCountsForTheNextConnection(t *testing.T) {
	set := redistest.StartGuardedSentinels(t, 1, redistest.Guard{SentinelPassword: "admin",
		SentinelUser: "watcher on >old -@all +auth +hello +ping +subscribe +sentinel|get-master-addr-by-name +sentinel|sentinels allchannels"})
	file := filepath.Join(t.TempDir(), "password")
	put(t, file, "old\n")
	client := newRedisClient(t, &config.Redis{Addresses: set.Addrs(), MasterName: set.Name,
		SentinelUsername: "watcher", SentinelPassword: "old", SentinelPasswordFile: file})
	if err := asks(t, client); err != nil {
		t.Fatal(err)
	}
	put(t, file, "new\n")
	for _, s := range set.Sentinels {
		if _, err := s.Do("ACL", "SETUSER", "watcher", "resetpass", ">new"); err != nil {
			t.Fatal(err)
		}
		for _, kind := range []string{"normal", "pubsub"} { // a sentinel's clients are of these two types
			if _, err := s.Do("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes"); err != nil {
				t.Fatal(err)
			}
		}
	}
	cut(t, set.Servers[0])
	await.That(t, "the new password is used", func() bool { return asks(t, client) == nil })
}

func TestARotatedKeySecretCountsAndTheOldOnesAreRemembered(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	long := func(letter string) config.Secret { return config.Secret(strings.Repeat(letter, 32)) }
	r := rotated{file: file, min: 32, all: []config.Secret{long("a")}}
	for _, step := range []struct {
		content string
		want    string // the first letters, the newest first
	}{
		{"", "a"}, {string(long("a")), "a"}, {string(long("b")) + "\n", "ba"}, {"short", "ba"},
		{string(long("c")), "cba"}, {string(long("d")), "dcb"}, {string(long("b")), "bdc"},
	} {
		put(t, file, step.content)
		got := ""
		for _, s := range r.values() {
			got += string(s[:1])
		}
		if got != step.want {
			t.Errorf("after %.1q: %q, want %q", step.content, got, step.want)
		}
	}
	if got := (&rotated{file: file, every: time.Hour, read: time.Now(), all: []config.Secret{"kept"}}).values(); len(got) != 1 || got[0] != "kept" {
		t.Errorf("the file was read before its time: %d values", len(got))
	}
}
