package upstream

import (
	"net/http"
	"slices"
	"time"

	"go.uber.org/zap"
)

// refusingFor is how long a server is tried after the others once it refused a connection.
const refusingFor = 5 * time.Second

// Health says how the shim finds servers that should not get requests. With the zero
// value, only a refused connection counts, for 5 s.
//
// An unhealthy server is still tried if no other one can be connected to: a wrong
// verdict must not lose a call.
type Health struct {
	Active  *ActiveHealth  // nil: the servers are not checked
	Passive *PassiveHealth // nil: failed requests do not take a server out
}

// PassiveHealth ejects a server whose ordinary requests fail, but never the last one
// that is not ejected or down. All fields must be set.
type PassiveHealth struct {
	Failures int           // in a row: no connection, no answer, or status 5xx
	Eject    time.Duration // how long the first time; it doubles each time
	MaxEject time.Duration // the longest; after this time without an ejection it is Eject again
}

// refused notes that a connection could not be made. The first time is logged.
func (g *Group) refused(s *Server, err error) {
	g.probers[s].Doubt(err)
	if s.refusingUntil.Swap(time.Now().Add(refusingFor).UnixNano()) == 0 {
		g.log.Warn("upstream server cannot be reached", zap.String(FieldGroup, g.Name), zap.String(FieldServer, s.Name), zap.Error(err))
	}
}

// answered notes an answer with this status.
func (g *Group) answered(s *Server, status int) {
	g.probers[s].Trust(status)
	if s.refusingUntil.Load() != 0 && s.refusingUntil.Swap(0) != 0 {
		g.log.Info("upstream server answers again", zap.String(FieldGroup, g.Name), zap.String(FieldServer, s.Name))
	}
	if status >= http.StatusInternalServerError {
		g.failed(s)
	} else if s.failures.Load() != 0 {
		s.failures.Store(0)
	}
}

// failed notes a request that the server failed, and ejects it after too many.
func (g *Group) failed(s *Server) {
	p := g.Settings.Health.Passive
	if p == nil || s.failures.Add(1) < int64(p.Failures) {
		return
	}
	g.load.ejecting.Lock()
	defer g.load.ejecting.Unlock()
	now := time.Now()
	if s.failures.Load() < int64(p.Failures) || s.Standing(now) >= StandingEjected {
		return // another request has ejected it meanwhile
	}
	if !slices.ContainsFunc(g.Servers, func(o *Server) bool { return o != s && o.Standing(now) < StandingEjected }) {
		return // it is the last one in use
	}
	if now.Sub(time.Unix(0, s.ejectedUntil.Load())) > p.MaxEject {
		s.ejections = 0
	}
	away := p.Eject
	for range s.ejections {
		if away *= 2; away >= p.MaxEject {
			away = p.MaxEject
			break
		}
	}
	s.ejections++
	s.failures.Store(0)
	s.ejectedUntil.Store(now.Add(away).UnixNano())
	g.log.Warn("upstream server ejected", zap.String(FieldGroup, g.Name), zap.String(FieldServer, s.Name), zap.Duration("for", away))
}

// AllDown reports whether active checks have found no server healthy.
func (g *Group) AllDown() bool {
	return !slices.ContainsFunc(g.Servers, func(s *Server) bool { return !s.down.Load() })
}
