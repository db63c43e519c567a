package conversation

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// Pool has conversations with servers and keeps their connections for the next
// ones. The fields must not change once it is used. It is safe for concurrent use.
type Pool struct {
	// Connect makes a connection to a server, given as host:port, for requests whose
	// URL has the scheme that this server is spoken to in. wrap must be given the
	// TCP connection; what wrap returns, or TLS on it, is the connection.
	// connect.Server's DialOver does that.
	Connect func(ctx context.Context, server string, wrap func(net.Conn) net.Conn) (net.Conn, error)

	// HeadTimeout is how long a server may take until its answer's head, from when
	// the request is about to be written. 0: no limit.
	HeadTimeout time.Duration

	// IdleTimeout is how long a connection is kept unused. It must be shorter than
	// the servers' own: what is written to a connection that the server is closing
	// is lost. 0: 15 s.
	IdleTimeout time.Duration

	// MaxIdle is how many unused connections are kept for each server. 0: 1024.
	MaxIdle int

	// Suspect is told of a server that sent bytes that nobody asked for.
	// nil: nobody is told.
	Suspect func(server string)

	// Trusted tells whether a server's connections may be used again. nil: all are.
	Trusted func(server string) bool

	mu      sync.Mutex
	idle    map[string][]*conn // by server, the last used last
	sweeper *time.Timer        // nil while there are no idle connections
}

const (
	defaultIdleTimeout = 15 * time.Second
	defaultMaxIdle     = 1024
)

func (p *Pool) idleTimeout() time.Duration {
	if p.IdleTimeout <= 0 {
		return defaultIdleTimeout
	}
	return p.IdleTimeout
}

// RoundTrip implements http.RoundTripper for requests whose body can be read
// without waiting. It looks every half second whether the request's context has
// ended. Its errors are of type *Error.
func (p *Pool) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	until, _ := ctx.Deadline()
	return p.Send(Call{Request: r, Until: until, Watch: func() error { return context.Cause(ctx) }})
}
