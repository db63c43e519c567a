package proxy

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"
)

// checkedApp is what the servers are asked about. PowerJob answers 200 and says
// that there is no such app; nothing is changed.
const checkedApp = "appName=powerjob-shim-health-check&password="

// checker asks one server whether it is there.
type checker struct {
	group  *upstreamGroup
	server *server
	how    ActiveHealth
	client http.RoundTripper // a new connection each time: that it can be had is part of the question
	log    *zap.Logger
}

func newChecker(g *upstreamGroup, s *server, log *zap.Logger) *checker {
	t := g.transport.Clone()
	t.DisableKeepAlives, t.MaxConnsPerHost = true, 0
	log = log.With(zap.String(fieldUpstream, g.name), zap.String(fieldUpstreamServer, s.name))
	return &checker{group: g, server: s, how: *g.settings.Health.Active, client: t, log: log}
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
// only that is asked, answers with a status below 500.
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
	url := c.server.url.Scheme + "://" + c.server.name + c.group.settings.prefix() + "/assert"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(checkedApp))
	if err != nil {
		return err
	}
	req.Host = c.group.settings.hostFor(c.server)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("User-Agent", "powerjob-shim health check")
	res, err := c.client.RoundTrip(req)
	if err != nil {
		return err
	}
	_, _ = io.CopyN(io.Discard, res.Body, 1<<10) // only the status counts
	_ = res.Body.Close()                         // likewise
	if res.StatusCode >= http.StatusInternalServerError {
		return fmt.Errorf("status %d", res.StatusCode)
	}
	return nil
}
