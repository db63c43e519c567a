package shared

import (
	"context"
	"crypto/tls"
	"net"
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
	// Password returns the password, asked for each connection. Nil: none.
	Password func() string
	// SentinelUsername and SentinelPassword are what the sentinels themselves ask
	// for. Empty: nothing.
	SentinelUsername string
	SentinelPassword string
	// TLS returns how to speak TLS with a host, asked for each connection, to
	// sentinels too. Nil: plain connections.
	TLS func(host string) (*tls.Config, error)
	// Dial makes the TCP connections, sentinels' and other nodes' too. Nil: the
	// system's resolver and network.
	Dial    func(ctx context.Context, network, address string) (net.Conn, error)
	Timeout time.Duration // of one exchange; 0: 200 ms
}

// Connect returns a client that connects when it is used, or again. Its caller
// closes it.
func Connect(c Connection) redis.UniversalClient {
	if c.Timeout <= 0 {
		c.Timeout = 200 * time.Millisecond
	}
	return redis.NewUniversalClient(&redis.UniversalOptions{
		Dialer: c.dialer(),
		Addrs:  c.Addresses, MasterName: c.MasterName, IsClusterMode: c.Cluster,
		CredentialsProvider: c.credentials(),
		SentinelUsername:    c.SentinelUsername, SentinelPassword: c.SentinelPassword,

		ContextTimeoutEnabled:    true,
		MaxRetries:               -1, // the Store knows when to try again
		DialerRetries:            1,
		DialTimeout:              max(c.Timeout, 2*time.Second), // the context's deadline is nearer while somebody waits
		ReadTimeout:              max(c.Timeout, 2*time.Second),
		WriteTimeout:             max(c.Timeout, 2*time.Second),
		PoolSize:                 16, // one is in use for each upstream group
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

// credentials are nil where there is no password: then go-redis logs nobody in.
func (c Connection) credentials() func() (username, password string) {
	if c.Password == nil {
		return nil
	}
	return func() (string, string) { return c.Username, c.Password() }
}

// dialer returns go-redis' dialer: its own for plain connections without Dial. A
// dialer that is given to go-redis has to see to TLS itself.
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
