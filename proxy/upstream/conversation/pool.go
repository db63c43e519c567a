package conversation

import (
	"context"
	"net"
	"sync"
	"time"
)

// Pool sends requests to servers, and keeps the connections for later requests. Its
// fields must not change once it is used. Safe for concurrent use.
type Pool struct {
	// Connect makes a connection to a server, given as host:port. It must pass the TCP
	// connection to wrap, and return wrap's result, or TLS on it, as
	// connect.Server.DialOver does. Whether there is TLS depends on the server alone: a
	// request's URL must have the scheme of its server.
	Connect func(ctx context.Context, server string, wrap func(net.Conn) net.Conn) (net.Conn, error)

	// HeadTimeout is how long a server may take until its answer's head, from when
	// the request is about to be written. 0: no limit.
	HeadTimeout time.Duration

	// IdleTimeout is how long a connection is kept unused. It must be shorter than the
	// servers' own: a request that is written to a connection while the server closes
	// it is lost. 0: 15 s.
	IdleTimeout time.Duration

	// Suspect is called when a server has sent bytes that nobody asked for. nil: not
	// called.
	Suspect func(server string)

	// Trusted reports whether a server's connections may be reused. nil: all may.
	Trusted func(server string) bool

	mu      sync.Mutex         // guards what follows
	idle    map[string][]*conn // by server, the last used last
	sweeper *time.Timer        // nil while there are no idle connections
}

const (
	defaultIdleTimeout = 15 * time.Second

	// maxIdle is how many unused connections are kept for each server. It is enough for
	// the connections of a peak; with net/http's default of 2, every burst would open
	// and close connections.
	maxIdle = 1024
)

func (p *Pool) idleTimeout() time.Duration {
	if p.IdleTimeout <= 0 {
		return defaultIdleTimeout
	}
	return p.IdleTimeout
}
