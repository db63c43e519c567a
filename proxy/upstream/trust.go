package upstream

import (
	"time"

	"go.uber.org/zap"
)

// distrustedFor is how long a server's connections are not used again after it
// sent what nobody asked for, most likely a second answer to one request: the
// next one could reach another caller.
const distrustedFor = time.Hour

// suspect notes unasked bytes from the server with this name.
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

// trusted reports whether connections of the server with this name may be used again.
func (g *Group) trusted(name string) bool {
	s := g.Server(name)
	if s == nil {
		return true
	}
	until := s.distrustedUntil.Load()
	return until == 0 || time.Now().UnixNano() >= until
}
