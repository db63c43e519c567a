package client

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"powerjob-shim/internal/wireclient"
)

// The bounds of OkHttp's ConnectionPool: connections, and how long each is kept.
const (
	maxIdle   = 5
	keepAlive = 5 * time.Minute
)

// DefaultTimeout is the client's limit for a whole call, with connecting and
// OkHttp's own repetitions (ClusterRequestService.DEFAULT_TIMEOUT_SECONDS).
const DefaultTimeout = 2 * time.Second

// v4Timeout is the read timeout of 4.x clients (HttpUtils).
const v4Timeout = 5 * time.Second

// SocketTransport sends over HTTP/1.1 on real sockets and pools connections
// like OkHttp. Unlike the original it never speaks HTTP/2, not even over TLS.
// The zero value is ready; it must not be copied after its first use.
type SocketTransport struct {
	Timeout time.Duration // of the whole call; 0: DefaultTimeout
	TLS     *tls.Config   // nil: plain HTTP

	// Dial connects for plain HTTP; nil: a net.Dialer does.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	mu   sync.Mutex // protects idle
	idle []*connection
}

type connection struct {
	net.Conn
	address string
	reader  *bufio.Reader
	since   time.Time // idle since
}

// RoundTrip sends one request and repeats it where OkHttp would.
func (t *SocketTransport) RoundTrip(address string, r Request) (Response, error) {
	timeout := t.Timeout
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	deadline := time.Now().Add(timeout)
	return Silently(func() (Response, error) { return t.exchange(address, r, deadline) })
}

// CloseIdle closes the pooled connections.
func (t *SocketTransport) CloseIdle() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.idle {
		_ = c.Close()
	}
	t.idle = nil
}

func (t *SocketTransport) exchange(address string, r Request, deadline time.Time) (Response, error) {
	c := t.pooled(address)
	used := c != nil
	if !used {
		var err error
		if c, err = t.dial(address, deadline); err != nil {
			return Response{}, err
		}
	}
	answer, err := c.exchange(r, deadline)
	if err == nil && reusable(answer) {
		t.put(c)
		return answer, nil
	}
	_ = c.Close()
	var body *wireclient.BodyError
	var protocol *wireclient.StatusLineError
	if err != nil && used && !errors.As(err, &body) && !errors.As(err, &protocol) && !errors.Is(err, os.ErrDeadlineExceeded) {
		return Response{}, fmt.Errorf("%w: %w", ErrStaleConnection, err)
	}
	return answer, err
}

func (c *connection) exchange(r Request, deadline time.Time) (Response, error) {
	if err := c.SetDeadline(deadline); err != nil {
		return Response{}, fmt.Errorf("setting the deadline: %w", err)
	}
	if err := WriteRequest(c, c.address, r); err != nil {
		return Response{}, fmt.Errorf("sending the request: %w", err)
	}
	answer, err := wireclient.ReadResponse(c.reader, 0)
	if err != nil {
		return Response{}, fmt.Errorf("waiting for the answer: %w", err)
	}
	return answer, nil
}

func (t *SocketTransport) dial(address string, deadline time.Time) (*connection, error) {
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	var conn net.Conn
	var err error
	switch {
	case t.TLS != nil:
		conn, err = (&tls.Dialer{Config: t.TLS}).DialContext(ctx, "tcp", address)
	case t.Dial != nil:
		conn, err = t.Dial(ctx, "tcp", address)
	default:
		conn, err = new(net.Dialer).DialContext(ctx, "tcp", address)
	}
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	return &connection{Conn: conn, address: address, reader: bufio.NewReader(conn)}, nil
}

// pooled takes a healthy idle connection from the pool. Nil: there is none.
func (t *SocketTransport) pooled(address string) *connection {
	for {
		t.mu.Lock()
		i := slices.IndexFunc(t.idle, func(c *connection) bool { return c.address == address })
		if i < 0 {
			t.mu.Unlock()
			return nil
		}
		c := t.idle[i]
		t.idle = slices.Delete(t.idle, i, i+1)
		t.mu.Unlock()
		if time.Since(c.since) < keepAlive && c.healthy() {
			return c
		}
		_ = c.Close()
	}
}

// healthy is RealConnection.isHealthy: a read of one millisecond must time out
// rather than find the connection's end.
func (c *connection) healthy() bool {
	if c.SetDeadline(time.Now().Add(time.Millisecond)) != nil {
		return false
	}
	_, err := c.reader.Peek(1)
	return err == nil || errors.Is(err, os.ErrDeadlineExceeded)
}

func (t *SocketTransport) put(c *connection) {
	c.since = time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.idle) >= maxIdle {
		_ = t.idle[0].Close()
		t.idle = t.idle[1:]
	}
	t.idle = append(t.idle, c)
}
