package proxy

import (
	"context"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

// lastAnswers is how long requests get, once the grace is over, to be told so:
// a connection cut before its status line makes OkHttp silently send again.
const lastAnswers = 2 * time.Second

// drain ends serving in good order, or at once when now ends:
//
//  1. /readyz fails, so that no new clients are sent here; for shutdown.delay
//     everything is served as before, because others learn of it late.
//  2. No new connections; requests and tunnels may end within shutdown.grace.
//  3. What is still in flight is answered with 503 (nothing was sent) or 504
//     (the outcome is unknown), and tunnels are closed.
func (s *Server) drain(now context.Context) {
	p := s.proxy
	how := p.snap.Load().Shutdown
	p.draining.Store(true)
	p.log.Info("draining", zap.Duration("delay", how.Delay), zap.Duration("grace", how.Grace), zap.Int64("in_flight", p.active.Load()))
	pause(now, how.Delay)

	ctx, cancel := context.WithTimeout(now, how.Grace)
	var g errgroup.Group
	for _, srv := range s.servers {
		g.Go(func() error { return srv.Shutdown(ctx) })
	}
	err := g.Wait()
	if err == nil {
		err = p.becomeIdle(ctx) // net/http does not wait for tunnels
	}
	cancel()
	switch {
	case err == nil:
	case now.Err() != nil:
		p.log.Warn("ending at once, with what is in flight", zap.Int64("in_flight", p.active.Load()))
	default:
		p.log.Warn("the grace is over, ending requests in flight", zap.Int64("in_flight", p.active.Load()))
	}
	p.end(errStopping)
	ctx, cancel = context.WithTimeout(now, lastAnswers)
	defer cancel()
	_ = p.becomeIdle(ctx) // then they are cut off
}

// becomeIdle waits until no request is in flight; an error says that ctx ended first.
func (p *Proxy) becomeIdle(ctx context.Context) error {
	for p.active.Load() > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		pause(ctx, 5*time.Millisecond)
	}
	return nil
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// retire closes the idle connections of the current groups.
func (p *Proxy) retire() { p.snap.Load().retire(&snapshot{}) }
