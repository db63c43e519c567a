package upstream

import (
	"net/url"
	"sync/atomic"
	"time"
)

// Standing says whether a server should get requests. A lower value is better.
type Standing uint8

// The standings.
const (
	StandingUp       Standing = iota
	StandingRefusing          // refused a connection within the last 5 s
	StandingEjected           // by PassiveHealth
	StandingDown              // by ActiveHealth
)

// String returns the words of /status and the log.
func (s Standing) String() string { return [...]string{"up", "refusing", "ejected", "down"}[s] }

// Server is one server of a group. It outlives reloads that leave it in the group.
// Safe for concurrent use.
type Server struct {
	URL  *url.URL // its base address: scheme and host
	Name string   // host:port

	inFlight        atomic.Int64
	refusingUntil   atomic.Int64           // Unix nanoseconds; 0: it was not refusing, or has answered since
	ejectedUntil    atomic.Int64           // Unix nanoseconds; 0: it was never ejected
	distrustedUntil atomic.Int64           // Unix nanoseconds, see suspect; 0: it was never distrusted
	down            atomic.Bool            // by ActiveHealth
	failures        atomic.Int64           // failed requests in a row
	lastCheck       atomic.Pointer[string] // why the last check failed; nil: it did not, or there was none

	ejections int // doublings of PassiveHealth.Eject so far; guarded by load.ejecting
}

// InFlight returns how many requests the server has.
func (s *Server) InFlight() int64 { return s.inFlight.Load() }

// Leave counts out a request that Group.Send has counted in. s may be nil.
func (s *Server) Leave() {
	if s != nil {
		s.inFlight.Add(-1)
	}
}

// Standing returns the server's standing at a time.
func (s *Server) Standing(now time.Time) Standing {
	at := now.UnixNano()
	switch {
	case s.down.Load():
		return StandingDown
	case at < s.ejectedUntil.Load():
		return StandingEjected
	case at < s.refusingUntil.Load():
		return StandingRefusing
	}
	return StandingUp
}

// keep drops verdicts of checks that these settings do not have: nothing would ever
// change them.
func (s *Server) keep(h Health) {
	if h.Active == nil {
		s.down.Store(false)
		s.lastCheck.Store(nil)
	}
	if h.Passive == nil {
		s.ejectedUntil.Store(0)
	}
}

// hostPort returns the address to connect to.
func hostPort(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Host
	case u.Scheme == "https":
		return u.Host + ":443"
	}
	return u.Host + ":80"
}
