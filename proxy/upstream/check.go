package upstream

import (
	"context"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"powerjob-shim/proxy/upstream/probe"
)

// ActiveHealth checks each server from time to time. All fields but TCP must be set.
type ActiveHealth struct {
	TCP       bool          // only connect; else POST /openApi/assert for an app that does not exist
	Interval  time.Duration // between two checks
	Timeout   time.Duration // of one check
	Unhealthy int           // failures in a row that take a server out
	Healthy   int           // successes in a row that bring it back
}

// checker checks one server.
type checker struct {
	group  *Group
	server *Server
	how    ActiveHealth
	probed *probe.Prober // is told the results too; nil if servers are not probed
	log    *zap.Logger
}

func newChecker(g *Group, s *Server) *checker {
	log := g.log.With(zap.String(FieldGroup, g.Name), zap.String(FieldServer, s.Name))
	return &checker{group: g, server: s, how: *g.Settings.Health.Active, probed: g.probers[s], log: log}
}

// run checks until life ends. It begins at a random moment of the interval, so
// that replicas that start together do not check together.
func (c *checker) run(life context.Context) {
	t := time.NewTimer(rand.N(c.how.Interval)) //nolint:gosec // no secret
	defer t.Stop()
	against := 0 // results in a row that contradict server.down
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

// learn takes the result of one check; nil: healthy. against is how many results in a
// row contradicted server.down before; learn returns the new number.
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

// ask checks once. It returns nil if the server is healthy: it accepts a connection and,
// unless ActiveHealth.TCP is set, a probe finds it ready.
func (c *checker) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.how.Timeout)
	defer cancel()
	if c.how.TCP {
		conn, err := c.group.Dial(ctx, c.server)
		if err == nil {
			_ = conn.Close() // nothing was written
		}
		return err
	}
	v := c.group.targets[c.server].Ask(ctx)
	if c.probed != nil && ctx.Err() == nil && !c.probed.Ready() {
		c.probed.Learn(v) // a server that was ready needs Unhealthy failures in a row, not one
	}
	return v.Err()
}
