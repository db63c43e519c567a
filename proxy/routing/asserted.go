package routing

import (
	"sync"
	"time"
)

// Asserted remembers the ids of the apps that a server's assert accepted. The
// zero value is ready to use, by several goroutines at once.
type Asserted struct {
	mu  sync.Mutex
	ids map[string]assertedID // guarded by mu; by app name, those of the configuration only
}

type assertedID struct {
	id int64
	at time.Time
}

// Get returns an app's id, and when it was told; 0: it is not known.
func (a *Asserted) Get(app string) (id int64, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	known := a.ids[app]
	return known.id, known.at
}

// Set notes the id of an app that was told at a time.
func (a *Asserted) Set(app string, id int64, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ids == nil {
		a.ids = map[string]assertedID{}
	}
	a.ids[app] = assertedID{id, at}
}
