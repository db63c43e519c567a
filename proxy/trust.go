package proxy

import (
	"time"

	"go.uber.org/zap"

	"powerjob-shim/metrics"
)

// distrustedFor is how long a server's connections are not used again after it
// sent what nobody asked for, most likely a second answer to one request: the
// next one could reach another caller.
const distrustedFor = time.Hour

// suspect notes unasked bytes from a server.
func (g *upstreamGroup) suspect(s *server, m *metrics.Metrics, log *zap.Logger) {
	m.UnaskedBytes(g.name)
	now := time.Now()
	if before := s.distrustedUntil.Swap(now.Add(distrustedFor).UnixNano()); before > now.UnixNano() {
		return
	}
	log.Warn("upstream server sent bytes that nobody asked for; its connections are not used again for an hour",
		zap.String(fieldUpstream, g.name), zap.String(fieldUpstreamServer, s.name))
	g.connections.CloseIdle()
}

// trusted reports whether a server's connections may be used again.
func (s *server) trusted() bool {
	until := s.distrustedUntil.Load()
	return until == 0 || time.Now().UnixNano() >= until
}

// named returns the server with this name.
func (g *upstreamGroup) named(name string) *server {
	for _, s := range g.servers {
		if s.name == name {
			return s
		}
	}
	return nil
}

// watchTrust has the group's connections tell of unasked bytes. It is called once,
// before the first request.
func (g *upstreamGroup) watchTrust(m *metrics.Metrics, log *zap.Logger) {
	m.Unasked.WithLabelValues(g.name) // from the start, at 0
	g.connections.Suspect = func(name string) {
		if s := g.named(name); s != nil {
			g.suspect(s, m, log)
		}
	}
	g.connections.Trusted = func(name string) bool {
		s := g.named(name)
		return s == nil || s.trusted()
	}
}
