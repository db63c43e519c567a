package plain

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"powerjob-shim/internal/peer"
	"powerjob-shim/proxy/listen/handover"
)

// Server serves the connections of one listener.
type Server struct {
	// HTTP serves what is not plain. Its Handler serves plain requests too. Plain
	// requests also use its BaseContext, ConnContext, ReadHeaderTimeout, IdleTimeout and
	// ErrorLog, but no other field: ConnState, for one, is not called for them.
	HTTP *http.Server

	// Plain reports whether a POST for this target with a body of this length may be
	// served without net/http's server. The path has only one reading. Plain is called
	// for requests that are plain otherwise: HTTP/1.1, a head of at most 16 KiB, one
	// Host, at most one Content-Length, no Transfer-Encoding, Expect or Upgrade, nothing
	// that only some servers accept. nil: net/http serves all requests.
	Plain func(target string, length int64) bool

	// Watch makes Caller.OnGone report a hang-up at once, not within 100 ms. If the
	// system cannot do that (it needs Linux), net/http serves all requests. With Watch,
	// net/http always serves callers on TLS: they may hang up within the connection
	// (close_notify), which the socket does not show.
	Watch bool

	stopping atomic.Bool
	handed   *handover.Listener // from which HTTP accepts connections
	watcher  *peer.Watcher      // nil: callers are polled

	mu    sync.Mutex         // guards what follows
	ln    net.Listener       // nil before Serve
	conns map[*conn]struct{} // those that are served here
	done  chan struct{}      // closed when stopping and conns is empty; nil: nobody waits
}

func (s *Server) headTimeout() time.Duration {
	if s.HTTP.ReadHeaderTimeout > 0 {
		return s.HTTP.ReadHeaderTimeout
	}
	return 24 * time.Hour // no limit
}

func (s *Server) logf(format string, args ...any) {
	if s.HTTP.ErrorLog != nil {
		s.HTTP.ErrorLog.Printf(format, args...)
	}
}

// Serve serves ln until Shutdown or Close, and then returns http.ErrServerClosed.
// It may be called once.
func (s *Server) Serve(ln net.Listener) error {
	if s.Plain == nil || !peer.CanPoll {
		return s.HTTP.Serve(ln)
	}
	if s.Watch {
		watcher, err := peer.NewWatcher()
		if err != nil {
			return s.HTTP.Serve(ln)
		}
		defer watcher.Close() // by then no plain connection is left, or all were closed
		s.watcher = watcher
	}
	s.mu.Lock()
	s.ln, s.conns, s.handed = ln, map[*conn]struct{}{}, handover.NewListener(ln.Addr())
	s.mu.Unlock()
	if s.stopping.Load() {
		_ = ln.Close() // no connection was accepted
	}
	inner := make(chan error, 1)
	go func() { inner <- s.HTTP.Serve(s.handed) }()
	base := context.Background()
	if s.HTTP.BaseContext != nil {
		base = s.HTTP.BaseContext(ln)
	}
	base = context.WithValue(base, http.ServerContextKey, s.HTTP)
	err := s.accept(ln, base)
	if s.stopping.Load() {
		return <-inner
	}
	_ = s.Close() // the listener's error is the one to return
	if closing := <-inner; !errors.Is(closing, http.ErrServerClosed) {
		return errors.Join(err, closing)
	}
	return err
}

func (s *Server) accept(ln net.Listener, base context.Context) error { //nolint:revive // the parent of all its requests
	var wait time.Duration
	for {
		c, err := ln.Accept()
		if temporary := net.Error(nil); err != nil && errors.As(err, &temporary) && temporary.Temporary() { //nolint:staticcheck // as net/http does
			if s.stopping.Load() {
				return err
			}
			wait = min(max(2*wait, 5*time.Millisecond), time.Second)
			s.logf("accepting: %v; trying again in %v", err, wait)
			time.Sleep(wait)
			continue
		}
		if err != nil {
			return err
		}
		wait = 0
		go s.begin(c, base)
	}
}

// begin serves one connection.
func (s *Server) begin(nc net.Conn, base context.Context) { //nolint:revive // see accept
	c := &conn{Conn: nc, server: s, since: time.Now(), raw: rawOf(nc)}
	s.mu.Lock()
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	ctx := base
	if s.HTTP.ConnContext != nil {
		ctx = s.HTTP.ConnContext(ctx, nc)
	}
	ctx = context.WithValue(context.WithValue(ctx, http.LocalAddrContextKey, nc.LocalAddr()), callerKey{}, &Caller{c})
	c.template = new(http.Request).WithContext(ctx)
	c.remote = nc.RemoteAddr().String() // may have to be read from a PROXY header
	if secure, ok := nc.(interface{ ConnectionState() tls.ConnectionState }); ok {
		state := secure.ConnectionState() // shakes hands
		c.tls, c.headBy = &state, time.Now()
	} else {
		c.headBy = c.since
	}
	c.headBy = c.headBy.Add(s.headTimeout())
	if !c.watch() {
		c.handOver(c.headBy)
		return
	}
	c.serve(c.headBy, false)
}

// rawOf returns the socket below a connection; nil: it cannot be had.
func rawOf(c net.Conn) syscall.RawConn {
	to, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := to.SyscallConn()
	if err != nil {
		return nil // it is closed
	}
	return raw
}
