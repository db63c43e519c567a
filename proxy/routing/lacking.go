package routing

import (
	"sync"
	"time"

	up "powerjob-shim/proxy/upstream"
)

// RunJob2 is the name of the call that servers before 5.1.2 do not have.
const RunJob2 = "runJob2"

// warnAgain is the shortest time between two warnings about calls that one server lacks
// and that cannot be translated.
const warnAgain = time.Hour

// lackingFor is how long a server is believed to lack the call before it is tried again.
const lackingFor = time.Hour

// Lacking remembers which servers have no runJob2. Each snapshot has its own, so
// that a reload asks anew. The zero value knows of none; safe for concurrent use.
type Lacking struct {
	mu     sync.Mutex
	until  map[*up.Server]time.Time // guarded by mu; when the finding expires
	warned map[*up.Server]time.Time // guarded by mu; when Warns last returned true
}

// Warns reports whether to log a warning about a call that s lacks and that cannot be
// translated. It returns true at most once in warnAgain for each server.
func (l *Lacking) Warns(s *up.Server, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t, ok := l.warned[s]; ok && now.Sub(t) < warnAgain {
		return false
	}
	if l.warned == nil {
		l.warned = map[*up.Server]time.Time{}
	}
	l.warned[s] = now
	return true
}

// Has reports whether s is known to lack the call.
func (l *Lacking) Has(s *up.Server, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return now.Before(l.until[s])
}

// Learn notes that s lacks the call, and reports whether that is new.
func (l *Lacking) Learn(s *up.Server, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.until == nil {
		l.until = map[*up.Server]time.Time{}
	}
	known := now.Before(l.until[s])
	l.until[s] = now.Add(lackingFor)
	return !known
}

// Forget notes that s seems to have the call, judging by its answer.
func (l *Lacking) Forget(s *up.Server) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.until, s)
}
