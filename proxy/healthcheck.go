package proxy

import (
	"context"
	"math/rand/v2"
	"net/http"
	"time"

	"go.uber.org/zap"
)

// checker asks one server whether it is there.
type checker struct {
	group  *upstreamGroup
	server *server
	how    ActiveHealth
	probed *prober           // learns, too; nil where servers are not probed
	client http.RoundTripper // a new connection each time: that it can be had is part of the question
	log    *zap.Logger
}

func newChecker(g *upstreamGroup, s *server, log *zap.Logger) *checker {
	log = log.With(zap.String(fieldUpstream, g.name), zap.String(fieldUpstreamServer, s.name))
	return &checker{group: g, server: s, how: *g.settings.Health.Active, client: g.probing, log: log}
}

// run asks until life ends. It begins at a random moment of the interval, so
// that replicas that start together do not ask together.
func (c *checker) run(life context.Context) {
	t := time.NewTimer(rand.N(c.how.Interval)) //nolint:gosec // no secret
	defer t.Stop()
	against := 0 // answers in a row that contradict what is thought of the server
	for {
		select {
		case <-t.C:
		case <-life.Done():
			return
		}
		err := c.ask(life)
		if life.Err() != nil {
			return
		}
		against = c.learn(err, against)
		t.Reset(c.how.Interval)
	}
}

// learn takes one result, nil: healthy, and returns how many in a row now
// contradict the server's standing.
func (c *checker) learn(err error, against int) int {
	s := c.server
	down, enough := s.down.Load(), c.how.Unhealthy
	if down {
		enough = c.how.Healthy
	}
	if err == nil {
		s.lastCheck.Store(nil)
	} else {
		why := err.Error()
		s.lastCheck.Store(&why)
	}
	if (err == nil) != down {
		return 0
	}
	if against++; against < enough {
		return against
	}
	s.down.Store(!down)
	if down {
		c.log.Info("upstream server is healthy again")
	} else {
		c.log.Warn("upstream server is unhealthy", zap.Error(err))
	}
	return 0
}

// ask returns nil if the server is healthy: it can be connected to and, unless
// only that is asked, is ready as assess has it.
func (c *checker) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.how.Timeout)
	defer cancel()
	if c.how.TCP {
		conn, err := c.group.dial(ctx, c.server.name)
		if err == nil {
			_ = conn.Close() // nothing was written
		}
		return err
	}
	v := c.group.assess(ctx, c.client, c.server)
	if c.probed != nil && ctx.Err() == nil && !c.probed.ready() {
		c.probed.learn(v) // once it was ready, Unhealthy failures in a row count, not one
	}
	return v.healthy()
}
