package proxy

import (
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// refusingFor is how long a server that refused a connection is tried after
// the others.
const refusingFor = 5 * time.Second

// Health says how servers are found that should not get requests. The zero
// value: only by refused connections, for 5 s each.
//
// Such servers are still tried when no other one can be connected to: a wrong
// verdict must not lose a call.
type Health struct {
	Active  *ActiveHealth  // nil: nobody asks the servers
	Passive *PassiveHealth // nil: failing requests do not take a server out
}

// ActiveHealth asks each server from time to time. All fields must be set.
type ActiveHealth struct {
	TCP       bool          // only connect; else POST /openApi/assert for an app that does not exist
	Interval  time.Duration // between two questions
	Timeout   time.Duration // of one question
	Unhealthy int           // failures in a row that take a server out
	Healthy   int           // successes in a row that bring it back
}

// PassiveHealth ejects a server by what happens to ordinary requests, but never
// the last one that is in. All fields must be set.
type PassiveHealth struct {
	Failures int           // in a row: no connection, no answer, or status 5xx
	Eject    time.Duration // the first time; it doubles each time
	MaxEject time.Duration // at most; after as long without an ejection it begins anew
}

// standing is what is thought of a server, the best first.
type standing uint8

const (
	standingUp       standing = iota
	standingRefusing          // refused a connection a short while ago
	standingEjected           // by PassiveHealth
	standingDown              // by ActiveHealth
)

// String returns the words of /status and the log.
func (s standing) String() string { return [...]string{"up", "refusing", "ejected", "down"}[s] }

// server is one server of a group. Safe for concurrent use.
type server struct {
	url  *url.URL
	name string // host:port

	inFlight      atomic.Int64
	refusingUntil atomic.Int64 // Unix nanoseconds; so are the others
	ejectedUntil  atomic.Int64
	// distrustedUntil: see suspect; 0: never.
	distrustedUntil atomic.Int64
	down            atomic.Bool
	failures        atomic.Int64           // in a row
	lastCheck       atomic.Pointer[string] // why the last check failed; nil: it did not, or there was none

	ejections int // in short succession; load.ejecting guards it
}

func (s *server) standing(now time.Time) standing {
	at := now.UnixNano()
	switch {
	case s.down.Load():
		return standingDown
	case at < s.ejectedUntil.Load():
		return standingEjected
	case at < s.refusingUntil.Load():
		return standingRefusing
	}
	return standingUp
}

// keep forgets verdicts that nobody would take back under these settings.
func (s *server) keep(h Health) {
	if h.Active == nil {
		s.down.Store(false)
		s.lastCheck.Store(nil)
	}
	if h.Passive == nil {
		s.ejectedUntil.Store(0)
	}
}

// refused notes that no connection was had. The first time is logged.
func (g *upstreamGroup) refused(s *server, err error, log *zap.Logger) {
	g.probers[s].doubt(err)
	if s.refusingUntil.Swap(time.Now().Add(refusingFor).UnixNano()) == 0 {
		log.Warn("upstream server cannot be reached", zap.String(fieldUpstream, g.name), zap.String(fieldUpstreamServer, s.name), zap.Error(err))
	}
}

// answered notes an answer with this status.
func (g *upstreamGroup) answered(s *server, status int, log *zap.Logger) {
	g.probers[s].trust(status)
	if s.refusingUntil.Load() != 0 && s.refusingUntil.Swap(0) != 0 {
		log.Info("upstream server answers again", zap.String(fieldUpstream, g.name), zap.String(fieldUpstreamServer, s.name))
	}
	if status >= http.StatusInternalServerError {
		g.failed(s, log)
	} else if s.failures.Load() != 0 {
		s.failures.Store(0)
	}
}

// failed notes a request that the server failed, and ejects it after too many.
func (g *upstreamGroup) failed(s *server, log *zap.Logger) {
	p := g.settings.Health.Passive
	if p == nil || s.failures.Add(1) < int64(p.Failures) {
		return
	}
	g.load.ejecting.Lock()
	defer g.load.ejecting.Unlock()
	now := time.Now()
	if s.failures.Load() < int64(p.Failures) || s.standing(now) >= standingEjected {
		return // another request was here first
	}
	if !slices.ContainsFunc(g.servers, func(o *server) bool { return o != s && o.standing(now) < standingEjected }) {
		return // it is the last one
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
	log.Warn("upstream server ejected", zap.String(fieldUpstream, g.name), zap.String(fieldUpstreamServer, s.name), zap.Duration("for", away))
}

// allDown reports whether active checks have found no server healthy.
func (g *upstreamGroup) allDown() bool {
	return !slices.ContainsFunc(g.servers, func(s *server) bool { return !s.down.Load() })
}
