package access

import (
	"container/list"
	"sync"
	"time"

	"powerjob-shim/rules/dedup"
)

// Grant is what a token stands for.
type Grant struct {
	Group string    // the upstream group that it was issued for
	App   string    // data.appId of the login's answer
	Name  string    // the app's name, as the login said; "": not known
	Since time.Time // of the login
	// Until ends it earlier than the policy's TTL; zero: it does not.
	Until time.Time
	// Issuer is whose token it is; nil: the server's.
	Issuer *Issuer
}

func (g *Grant) over(now time.Time, ttl time.Duration) bool {
	return !now.Before(g.Since.Add(ttl)) || !g.Until.IsZero() && !now.Before(g.Until)
}

const (
	defaultTokens = 65_536 // some 20 MiB
	maxNames      = 10_000
)

// Tokens remembers tokens by their fingerprints, and the names of apps. Who
// logs in with a password only can add to it; all the same it is bounded: the
// token that was not used for longest goes first, and its client logs in once
// more. Expired ones stay until then, so that they can be told from unknown
// ones. Its methods are safe for concurrent use.
type Tokens struct {
	max int

	mu    sync.Mutex
	known map[dedup.Token]*list.Element // guarded by mu
	used  *list.List                    // guarded by mu; of *remembered, the last used in front
	names map[appKey]string             // guarded by mu
}

type remembered struct {
	token dedup.Token
	grant *Grant
}

// appKey names an app of a group by its id.
type appKey struct{ group, id string }

// NewTokens returns an empty table of at most limit tokens; 0: 65,536.
func NewTokens(limit int) *Tokens {
	if limit <= 0 {
		limit = defaultTokens
	}
	return &Tokens{max: limit, known: map[dedup.Token]*list.Element{}, used: list.New(), names: map[appKey]string{}}
}

// Add remembers a token, which was issued just now or has just been verified.
// The zero token is not remembered.
func (t *Tokens) Add(token dedup.Token, g Grant) {
	if token == (dedup.Token{}) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.known[token]; e != nil {
		e.Value.(*remembered).grant = &g
		t.used.MoveToFront(e)
		return
	}
	if len(t.known) >= t.max {
		oldest := t.used.Back()
		t.used.Remove(oldest)
		delete(t.known, oldest.Value.(*remembered).token)
	}
	t.known[token] = t.used.PushFront(&remembered{token, &g})
}

// Find returns what a token stands for in a group; nil: it is not known there,
// or from another issuer. The result is shared: read it only.
func (t *Tokens) Find(token dedup.Token, group string, issuer *Issuer) *Grant {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.known[token]
	if e == nil {
		return nil
	}
	g := e.Value.(*remembered).grant
	if g.Group != group || g.Issuer != issuer {
		return nil
	}
	t.used.MoveToFront(e)
	return g
}

// Name remembers an app's name, as a login told it that the server accepted.
func (t *Tokens) Name(group, id, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.name(group, id, name)
}

func (t *Tokens) name(group, id, name string) {
	k := appKey{group, id}
	if _, known := t.names[k]; name == "" || !known && len(t.names) >= maxNames {
		return
	}
	t.names[k] = name
}

// NameOf returns an app's name; "": not known.
func (t *Tokens) NameOf(group, id string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.names[appKey{group, id}]
}
