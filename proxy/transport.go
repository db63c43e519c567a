package proxy

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	up "powerjob-shim/proxy/upstream"
)

const (
	// defaultIdleTimeout is shorter than the idle timeouts of Tomcat (60 s) and
	// of the usual load balancers.
	defaultIdleTimeout = 15 * time.Second

	// maxIdlePerServer keeps the connections of a peak for reuse; with net/http's
	// default of 2 every burst would open and close them.
	maxIdlePerServer = 1024

	// continueTimeout is how long a body is held back for a server's 100
	// Continue (RFC 9110, 10.1.1: a client must not wait forever).
	continueTimeout = time.Second
)

// newConnections returns what makes the connections to a group's servers: for
// what is streamed, and for calls that are held.
//
// The Transport adds nothing to requests (no Accept-Encoding), speaks HTTP/1.1 only, and
// ignores proxy settings of the environment: the servers are what was named.
func newConnections(g *upstreamGroup) (*http.Transport, *up.Pool) {
	u := g.settings
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	streams, calls := new(http.Transport), &up.Pool{
		HeadTimeout: u.Timeout,
		IdleTimeout: u.idleTimeout(),
		MaxIdle:     maxIdlePerServer,
	}
	// Of max_connections, requests in flight have their share (see sender). What
	// one kind has unused must not come on top of what the other one opens.
	dial := func(ctx context.Context, _, address string) (net.Conn, error) {
		if u.MaxConnections > 0 {
			g.closeIdle()
		}
		c, err := g.dial(ctx, address)
		if err != nil {
			return nil, err
		}
		return &up.Heard{Conn: c}, nil
	}
	calls.Connect = func(ctx context.Context, server string, wrap func(net.Conn) net.Conn) (net.Conn, error) {
		if u.MaxConnections > 0 {
			streams.CloseIdleConnections()
			g.others.CloseIdleConnections()
		}
		return g.link(server).DialOver(ctx, wrap)
	}
	*streams = http.Transport{
		DialContext:           dial,
		DialTLSContext:        dial,
		MaxConnsPerHost:       u.MaxConnections,
		MaxIdleConnsPerHost:   maxIdlePerServer,
		IdleConnTimeout:       u.idleTimeout(),
		ResponseHeaderTimeout: u.Timeout,
		ExpectContinueTimeout: continueTimeout,
		DisableCompression:    true,
		Protocols:             protocols,
	}
	return streams, calls
}

// defaultStreamTimeout is for uploads and downloads of what the web UI has.
const defaultStreamTimeout = 10 * time.Minute

func (u Upstream) streamTimeout() time.Duration {
	if u.StreamTimeout == 0 {
		return defaultStreamTimeout
	}
	return u.StreamTimeout
}

func (u Upstream) idleTimeout() time.Duration {
	if u.IdleTimeout == 0 {
		return defaultIdleTimeout
	}
	return u.IdleTimeout
}

// buffers lends the buffers that bodies are copied through. The pointers keep
// Put from allocating. The zero value is ready to use.
type buffers struct{ pool sync.Pool }

// Get implements httputil.BufferPool.
func (b *buffers) Get() []byte {
	if buf, ok := b.pool.Get().(*[32 << 10]byte); ok {
		return buf[:]
	}
	return make([]byte, 32<<10)
}

// Put implements httputil.BufferPool.
func (b *buffers) Put(buf []byte) { b.pool.Put((*[32 << 10]byte)(buf)) }
