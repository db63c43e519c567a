package plain

import (
	"context"
	"time"
)

// newConnGrace is the age up to which a connection may stay without a request when the
// server stops, as in net/http's server.
const newConnGrace = 5 * time.Second

// forget removes a connection from those that are served here.
func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if len(s.conns) == 0 && s.done != nil {
		close(s.done)
		s.done = nil
	}
}

// Shutdown accepts no more connections, closes unused ones, and waits until the others
// have answered their requests, or until ctx ends. net/http's server stops last,
// because connections may still be handed over to it.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop()
	// At net/http's server, unused connections end now, the others after their answer.
	s.HTTP.SetKeepAlivesEnabled(false)
	if err := s.drain(ctx); err != nil {
		return err
	}
	return s.HTTP.Shutdown(ctx)
}

func (s *Server) stop() {
	s.stopping.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ln != nil {
		_ = s.ln.Close() // it is not needed any more, or was closed before
	}
}

// drain waits until no connection is served here.
func (s *Server) drain(ctx context.Context) error {
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for {
		s.mu.Lock()
		open := make([]*conn, 0, len(s.conns))
		for c := range s.conns {
			open = append(open, c)
		}
		if len(open) > 0 && s.done == nil {
			s.done = make(chan struct{})
		}
		done := s.done
		s.mu.Unlock()
		if len(open) == 0 {
			return nil
		}
		for _, c := range open {
			c.closeIdle(time.Now().Add(-newConnGrace))
		}
		select {
		case <-done:
		case <-look.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Close closes the listener and all connections at once.
func (s *Server) Close() error {
	s.stop()
	s.mu.Lock()
	for c := range s.conns {
		_ = c.Conn.Close() // its goroutine sees it
	}
	s.mu.Unlock()
	return s.HTTP.Close()
}
