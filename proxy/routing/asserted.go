package routing

import (
	"sync"
	"time"
)

// Asserted remembers the ids that a server's assert returned for apps. The zero value
// is ready to use; safe for concurrent use.
type Asserted struct {
	mu  sync.Mutex
	ids map[string]assertedID // guarded by mu; by app name; only apps of the configuration
}

type assertedID struct {
	id int64
	at time.Time // when the server told the id
}

// Get returns an app's id, and when a server told it. id 0: not known.
func (a *Asserted) Get(app string) (id int64, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	known := a.ids[app]
	return known.id, known.at
}

// Set notes an app's id, which a server told at the time at.
func (a *Asserted) Set(app string, id int64, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ids == nil {
		a.ids = map[string]assertedID{}
	}
	a.ids[app] = assertedID{id, at}
}
