package upstream

import (
	"time"

	"go.uber.org/zap"
)

// distrustedFor is how long a server's connections are not reused after it sent bytes
// that nobody asked for. These are most likely a second answer to one request, and
// the next such answer could reach another caller.
const distrustedFor = time.Hour

// suspect notes that the server of this name sent bytes that nobody asked for.
func (g *Group) suspect(name string) {
	s := g.Server(name)
	if s == nil {
		return
	}
	g.metrics.UnaskedBytes(g.Name)
	now := time.Now()
	if before := s.distrustedUntil.Swap(now.Add(distrustedFor).UnixNano()); before > now.UnixNano() {
		return
	}
	g.log.Warn("upstream server sent bytes that nobody asked for; its connections are not used again for an hour",
		zap.String(FieldGroup, g.Name), zap.String(FieldServer, s.Name))
	g.Connections.CloseIdle()
}

// trusted reports whether connections to the server of this name may be reused.
func (g *Group) trusted(name string) bool {
	s := g.Server(name)
	if s == nil {
		return true
	}
	until := s.distrustedUntil.Load()
	return until == 0 || time.Now().UnixNano() >= until
}
