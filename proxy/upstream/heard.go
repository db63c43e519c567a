package upstream

import (
	"bytes"
	"net"
	"sync"
	"sync/atomic"
)

// Heard is a connection for net/http's Transport that can tell how an answer's
// head was written: an http.Header has the canonical names only.
type Heard struct {
	net.Conn

	listens atomic.Bool
	mu      sync.Mutex
	head    bytes.Buffer // guarded by mu
}

// Listen keeps what arrives from now on, at most 64 KiB of it, until Head is called.
func (c *Heard) Listen() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.head.Reset()
	c.listens.Store(true)
}

// Head returns what has arrived since Listen: an answer's head, and maybe more.
// The caller owns it. Without Listen it stays empty.
func (c *Heard) Head() *bytes.Buffer {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listens.Store(false)
	heard := bytes.NewBuffer(c.head.Bytes())
	c.head = bytes.Buffer{}
	return heard
}

// Read implements net.Conn.
func (c *Heard) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && c.listens.Load() {
		c.mu.Lock()
		c.head.Write(p[:min(n, maxHead-min(c.head.Len(), maxHead))])
		c.mu.Unlock()
	}
	return n, err
}

// CloseWrite ends one direction of a tunnel.
func (c *Heard) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Close()
}
