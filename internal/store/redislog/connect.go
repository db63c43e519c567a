package redislog

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Connection says where Redis is.
type Connection struct {
	// Addresses are "host:port": one server, the sentinels (with MasterName), or
	// a Cluster's nodes (several without MasterName, or Cluster).
	Addresses  []string
	Cluster    bool // a single address leads to a Cluster
	MasterName string
	Username   string // empty: the default user
	// Password returns the password; it is called for each connection. Nil: none.
	Password func() string
	// SentinelUsername and SentinelPassword are for the sentinels themselves;
	// SentinelPassword is called for each connection. Nil: they need no login.
	SentinelUsername string
	SentinelPassword func() string
	// TLS returns the TLS configuration for a host; it is called for each connection,
	// those to sentinels included. Nil: plain connections.
	TLS func(host string) (*tls.Config, error)
	// Dial makes the TCP connections, to sentinels and other nodes too. Nil: the
	// system's resolver and network.
	Dial    func(ctx context.Context, network, address string) (net.Conn, error)
	Timeout time.Duration // of one exchange; 0: 200 ms
}

// Connect returns a client that connects, and connects again, when it is used. The
// caller must close it.
func Connect(c Connection) redis.UniversalClient {
	if c.Timeout <= 0 {
		c.Timeout = 200 * time.Millisecond
	}
	return redis.NewUniversalClient(&redis.UniversalOptions{
		Dialer: c.dialer(),
		Addrs:  c.Addresses, MasterName: c.MasterName, IsClusterMode: c.Cluster,
		CredentialsProvider: c.credentials(),
		OnConnect:           c.logIn,

		ContextTimeoutEnabled:    true,
		MaxRetries:               -1, // the Store knows when to try again
		DialerRetries:            1,
		DialTimeout:              max(c.Timeout, 2*time.Second), // the context's deadline is nearer while somebody waits
		ReadTimeout:              max(c.Timeout, 2*time.Second),
		WriteTimeout:             max(c.Timeout, 2*time.Second),
		PoolSize:                 16, // each upstream group uses one
		Protocol:                 2,  // with 3 the client looks for unsolicited messages before each answer
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

// credentials returns nil if there is no password: then go-redis does not log in.
func (c Connection) credentials() func() (username, password string) {
	if c.Password == nil {
		return nil
	}
	return func() (string, string) { return c.Username, c.Password() }
}

// logIn logs in at a sentinel, because go-redis would use one password for ever. go-redis
// greets each connection first, and goes on if the sentinel refuses the greeting because
// it has had no password.
func (c Connection) logIn(ctx context.Context, conn *redis.Conn) error {
	if c.MasterName == "" || c.SentinelPassword == nil || leadsToMaster(conn) {
		return nil
	}
	if c.SentinelUsername != "" {
		return conn.AuthACL(ctx, c.SentinelUsername, c.SentinelPassword()).Err()
	}
	return conn.Auth(ctx, c.SentinelPassword()).Err()
}

// leadsToMaster tells a master's connection from a sentinel's. go-redis has one
// OnConnect for both; only the name that it prints tells them apart.
func leadsToMaster(conn *redis.Conn) bool {
	return strings.HasPrefix(conn.String(), "Redis<FailoverClient ")
}

// dialer returns the dialer for go-redis; nil, for plain connections without Dial: it
// uses its own. A dialer that is given to go-redis must do TLS itself.
func (c Connection) dialer() func(ctx context.Context, network, address string) (net.Conn, error) {
	if c.TLS == nil {
		return c.Dial
	}
	dial := c.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		config, err := c.TLS(host)
		if err != nil {
			return nil, err
		}
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close() // the handshake's error is the one to tell
			return nil, err
		}
		return secure, nil
	}
}
