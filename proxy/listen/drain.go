package listen

import (
	"context"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

// lastAnswers is how long the shim still takes, once the grace is over, to answer the
// requests in flight with an error: OkHttp silently repeats a request whose
// connection is cut before the status line.
const lastAnswers = 2 * time.Second

// drain stops serving in good order, or at once when now ends:
//
//  1. Lifecycle.Drain makes /readyz fail, so that balancers send no new clients here.
//     They notice late, so everything is served as before for shutdown.delay.
//  2. No new connections are accepted; requests and tunnels may end within shutdown.grace.
//  3. Requests still in flight are answered with 503 (nothing was sent) or 504
//     (the outcome is unknown), and tunnels are closed.
func (s *Server) drain(now context.Context) {
	delay, grace := s.life.Drain()
	s.log.Info("draining", zap.Duration("delay", delay), zap.Duration("grace", grace), zap.Int64("in_flight", s.life.InFlight()))
	pause(now, delay)

	ctx, cancel := context.WithTimeout(now, grace)
	var g errgroup.Group
	for _, srv := range s.servers {
		g.Go(func() error { return srv.Shutdown(ctx) })
	}
	err := g.Wait()
	if err == nil {
		err = s.becomeIdle(ctx) // net/http does not wait for tunnels
	}
	cancel()
	switch {
	case err == nil:
	case now.Err() != nil:
		s.log.Warn("ending at once, with what is in flight", zap.Int64("in_flight", s.life.InFlight()))
	default:
		s.log.Warn("the grace is over, ending requests in flight", zap.Int64("in_flight", s.life.InFlight()))
	}
	s.life.End()
	ctx, cancel = context.WithTimeout(now, lastAnswers)
	defer cancel()
	_ = s.becomeIdle(ctx) // requests that are left after this are cut off
}

// becomeIdle waits until no request is in flight. It returns ctx's error if ctx ends first.
func (s *Server) becomeIdle(ctx context.Context) error {
	for s.life.InFlight() > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		pause(ctx, 5*time.Millisecond)
	}
	return nil
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
