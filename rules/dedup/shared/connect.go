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
	Password   string
	// SentinelUsername and SentinelPassword are what the sentinels themselves ask
	// for. Empty: nothing.
	SentinelUsername string
	SentinelPassword string
	TLS              *tls.Config // nil: plain connections, to sentinels too
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
		Username: c.Username, Password: c.Password,
		SentinelUsername: c.SentinelUsername, SentinelPassword: c.SentinelPassword,
		TLSConfig: c.TLS,

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

// dialer returns go-redis' dialer: its own unless there is Dial. A dialer that is
// given to go-redis has to see to TLS itself.
func (c Connection) dialer() func(ctx context.Context, network, address string) (net.Conn, error) {
	if c.Dial == nil || c.TLS == nil {
		return c.Dial
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := c.Dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		config := c.TLS.Clone()
		if config.ServerName == "" {
			if config.ServerName, _, err = net.SplitHostPort(address); err != nil {
				_ = conn.Close() // nothing was written
				return nil, err
			}
		}
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close() // the handshake's error is the one to tell
			return nil, err
		}
		return secure, nil
	}
}
