package proxy

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"powerjob-shim/proxy/upstream/conversation"
)

const (
	// defaultIdleTimeout is shorter than the idle timeouts of Tomcat (60 s) and
	// of the usual load balancers.
	defaultIdleTimeout = 15 * time.Second

	// maxIdlePerServer keeps the connections of a peak for reuse; with net/http's
	// default of 2 every burst would open and close them.
	maxIdlePerServer = 1024
)

// newConnections returns what makes and keeps the connections to a group's servers.
// The servers are what was named: proxy settings of the environment do not count.
func newConnections(g *upstreamGroup) *conversation.Pool {
	return &conversation.Pool{
		HeadTimeout: g.settings.Timeout,
		IdleTimeout: g.settings.idleTimeout(),
		MaxIdle:     maxIdlePerServer,
		Connect: func(ctx context.Context, server string, wrap func(net.Conn) net.Conn) (net.Conn, error) {
			return g.link(server).DialOver(ctx, wrap)
		},
	}
}

// newProbing returns the Transport of probes and health checks, which make a new
// connection for each question and have a deadline of their own. It adds nothing to
// requests (no Accept-Encoding).
func newProbing(g *upstreamGroup) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	dial := func(ctx context.Context, _, address string) (net.Conn, error) { return g.dial(ctx, address) }
	return &http.Transport{
		DialContext:        dial,
		DialTLSContext:     dial,
		DisableKeepAlives:  true,
		DisableCompression: true,
		Protocols:          protocols,
	}
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
