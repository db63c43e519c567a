package routing

import (
	"sync"
	"time"

	up "powerjob-shim/proxy/upstream"
)

// RunJob2 is the call that servers before 5.1.2 lack.
const RunJob2 = "runJob2"

// warnAgain is the time between two warnings about one server's calls that cannot
// be translated.
const warnAgain = time.Hour

// lackingFor is how long a server is not asked again for a call that it lacks.
const lackingFor = time.Hour

// Lacking remembers which servers have no runJob2. Each snapshot has its own, so
// that a reload asks anew. The zero value knows of none; safe for concurrent use.
type Lacking struct {
	mu     sync.Mutex
	until  map[*up.Server]time.Time // guarded by mu
	warned map[*up.Server]time.Time // guarded by mu; of a call that could not be translated
}

// Warns reports whether to warn of a call that s lacks and that cannot be
// translated, and notes it: once in warnAgain for each server.
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

// Forget notes that s has the call, as far as its answer tells.
func (l *Lacking) Forget(s *up.Server) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.until, s)
}
