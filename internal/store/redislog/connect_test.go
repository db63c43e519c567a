package redislog

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"powerjob-shim/internal/await"
	"powerjob-shim/internal/redistest"
	"powerjob-shim/internal/store"
	"powerjob-shim/internal/store/storetest"
)

// conforms runs the suite on what a connection leads to.
func conforms(t *testing.T, c Connection) {
	t.Helper()
	storetest.Run(t, func(t *testing.T, n int) []store.Store {
		return replicas(t, n, func() redis.UniversalClient { return Connect(c) }, nil)
	})
}

// password is what never changes.
func password(p string) func() string { return func() string { return p } }

// speaking is TLS that never changes.
func speaking(config *tls.Config) func(host string) (*tls.Config, error) {
	return func(host string) (*tls.Config, error) {
		config := config.Clone()
		if config.ServerName == "" {
			config.ServerName = host
		}
		return config, nil
	}
}

// says makes calls, which go on, until the store says what does not work.
func says(t *testing.T, c Connection, what string) {
	t.Helper()
	s := replicas(t, 1, func() redis.UniversalClient { return Connect(c) }, func(o *Options) { o.Timeout = budget })[0].(*Store)
	calls := 0
	await.That(t, "the status says "+what, func() bool {
		calls++
		storetest.Do(t, s, storetest.Save(s, fmt.Sprint("save ", calls), "T"), storetest.Success("1"))
		return strings.Contains(strings.Join(s.Status().Problems, "\n"), what)
	})
}

func TestAServerWithTLSAndAUserIsAStore(t *testing.T) {
	server, authority := redistest.StartTLS(t)
	mustDo(t, server, append([]any{"ACL", "SETUSER", "shim"}, needed...)...)
	mustDo(t, server, "ACL", "SETUSER", "default", "off")
	right := Connection{Addresses: []string{server.Addr}, Username: "shim", Password: password("secret"), TLS: speaking(authority.Client())}
	conforms(t, right)

	// Whoever is not let in, or is not who it should be, is told of.
	for _, c := range []struct {
		name, says string
		change     func(*Connection)
	}{
		{"plain", "does not work", func(c *Connection) { c.TLS = nil }},
		{"no certificate", "certificate required", func(c *Connection) { c.TLS = speaking(authority.Stranger()) }},
		{"an unknown authority", "unknown authority", func(c *Connection) { c.TLS = speaking(&tls.Config{MinVersion: tls.VersionTLS12}) }},
		{"another name", "certificate is valid for localhost", func(c *Connection) {
			config := authority.Client()
			config.ServerName = "redis.example.com"
			c.TLS = speaking(config)
		}},
		{"a wrong password", "WRONGPASS", func(c *Connection) { c.Password = password("wrong") }},
	} {
		wrong := right
		c.change(&wrong)
		t.Run(c.name, func(t *testing.T) { says(t, wrong, c.says) })
	}
}

// watcher is what docs/scaling.md says that a user of the sentinels needs.
const watcher = "watcher on >watching -@all +auth +hello +ping +subscribe +sentinel|get-master-addr-by-name +sentinel|sentinels allchannels"

func TestASentinelSetWithPasswordsIsAStore(t *testing.T) {
	set := redistest.StartGuardedSentinels(t, 1, redistest.Guard{Password: "secret", SentinelPassword: "sentinels", SentinelUser: watcher})
	right := Connection{
		Addresses: set.Addrs(), MasterName: set.Name, Password: password("secret"),
		SentinelUsername: "watcher", SentinelPassword: password("watching"),
	}
	conforms(t, right)

	wrong := right
	wrong.SentinelUsername, wrong.SentinelPassword = "", nil
	says(t, wrong, "sentinels")
	wrong.SentinelPassword = password("sentinels") // the default user's
	conforms(t, wrong)
}

func TestOneAddressLeadsToACluster(t *testing.T) {
	nodes := redistest.StartCluster(t)
	for _, n := range []*redistest.Server{nodes[0], nodes[5]} { // a primary, a replica
		conforms(t, Connection{Addresses: []string{n.Addr}, Cluster: true})
	}
	// Without the word a node refuses what others have. This one is a replica,
	// and has nothing.
	says(t, Connection{Addresses: []string{nodes[5].Addr}}, "dedup.redis.cluster: true")
}

// With a dialler of the caller's own, TLS is still what Connection.TLS says of
// the host in Addresses, wherever that leads.
func TestTLSIsSpokenThroughADiallerThatIsGiven(t *testing.T) {
	server, authority := redistest.StartTLS(t)
	var dialled atomic.Int64
	through := func(address string, fails error) Connection {
		return Connection{
			Addresses: []string{address}, TLS: speaking(authority.Client()), Timeout: patience,
			Dial: func(ctx context.Context, network, to string) (net.Conn, error) {
				dialled.Add(1)
				if to != address {
					t.Errorf("dials %s, want %s", to, address)
				}
				if fails != nil {
					return nil, fails
				}
				return new(net.Dialer).DialContext(ctx, network, server.Addr)
			},
		}
	}
	right := through("localhost:1", nil) // nothing listens there: only Dial knows the way
	conforms(t, right)
	if dialled.Load() == 0 {
		t.Error("the dialler was not asked")
	}
	said := through("elsewhere.test:1", nil)
	said.TLS = func(string) (*tls.Config, error) { return speaking(authority.Client())("localhost") }
	conforms(t, said)

	says(t, through("elsewhere.test:1", nil), "certificate is valid for localhost")
	says(t, through("localhost:1", errors.New("no way there")), "no way there")
	stranger := through("localhost:1", nil)
	stranger.TLS = speaking(authority.Stranger())
	says(t, stranger, "certificate required")
}
