package access

import (
	"sync"
	"time"

	"powerjob-shim/internal/slab"
)

// Grant is what a token stands for.
type Grant struct {
	Group string    // the upstream group that it was issued for
	App   string    // data.appId of the login's answer
	Name  string    // the app's name, as the login said; "": not known
	Since time.Time // of the login
	// Until may end it earlier than the policy's TTL; zero: only the TTL ends it.
	Until time.Time
	// Issuer issued the token; nil: the server did.
	Issuer *Issuer
}

func (g *Grant) over(now time.Time, ttl time.Duration) bool {
	return !now.Before(g.Since.Add(ttl)) || !g.Until.IsZero() && !now.Before(g.Until)
}

const (
	defaultTokens = 65_536 // some 7 MiB
	appsShare     = 4      // an app may have 1/appsShare of all tokens,
	fewTokens     = 1024   // or this many, if that is more
	maxNames      = 10_000
)

// Tokens remembers tokens by their fingerprints, and the names of apps. Only callers
// that log in with a password can add to it. Still it is bounded, and so is each
// app's part, so that a flood of one app's logins does not push out
// another app's tokens: the least recently used token goes first, and
// its client logs in once more. Expired tokens stay until then, to be told from
// unknown ones. Its methods are safe for concurrent use.
type Tokens struct {
	max    int
	perApp int
	epoch  time.Time // what remembered.since counts from

	mu     sync.Mutex
	known  map[Token]slab.Slot   // guarded by mu
	all    slab.Slab[remembered] // guarded by mu
	grants slab.Pool[Grant]      // guarded by mu; without times
	used   order                 // guarded by mu; all tokens
	apps   map[appKey]*order     // guarded by mu; only apps that have tokens
	names  map[appKey]string     // guarded by mu
}

// remembered is a token. It has no pointers.
type remembered struct {
	token Token
	place [2]neighbours // among all, and among its app's
	grant slab.Slot
	since time.Duration // since Tokens.epoch
	until int64         // Unix time in nanoseconds; 0: none
}

// amongAll and ofApp index remembered.place.
const (
	amongAll = iota
	ofApp
)

// neighbours are the tokens that were used next after one, and last before it; 0: none.
type neighbours struct{ newer, older slab.Slot }

// order has tokens in the order of their last use.
type order struct {
	newest, oldest slab.Slot
	n              int
}

// appKey names an app of a group by its id.
type appKey struct{ group, id string }

// NewTokens returns an empty table of at most limit tokens; 0: 65,536.
func NewTokens(limit int) *Tokens {
	if limit <= 0 {
		limit = defaultTokens
	}
	return &Tokens{
		max: limit, perApp: max(limit/appsShare, min(limit, fewTokens)), epoch: time.Now(),
		known: map[Token]slab.Slot{}, apps: map[appKey]*order{}, names: map[appKey]string{},
	}
}

// Add remembers a token that has just been issued or verified. It ignores the zero
// token.
func (t *Tokens) Add(token Token, g Grant) {
	if token == (Token{}) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.known[token]; s != 0 {
		t.forget(s)
	} else if app := t.apps[appKey{g.Group, g.App}]; app != nil && app.n >= t.perApp {
		t.forget(app.oldest)
	} else if len(t.known) >= t.max {
		t.forget(t.used.oldest)
	}
	s := t.all.Add()
	r := t.all.At(s)
	r.token, r.since = token, g.Since.Sub(t.epoch)
	if !g.Until.IsZero() {
		r.until = g.Until.UnixNano()
	}
	g.Since, g.Until = time.Time{}, time.Time{}
	r.grant = t.grants.Hold(g)
	t.known[token] = s
	t.link(s)
}

// Find returns what a token stands for in a group, and notes that it was used; nil: it
// is not known there, or is from another issuer.
func (t *Tokens) Find(token Token, group string, issuer *Issuer) *Grant {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.known[token]
	if s == 0 {
		return nil
	}
	r := t.all.At(s)
	g := t.grants.At(r.grant)
	if g.Group != group || g.Issuer != issuer {
		return nil
	}
	g.Since = t.epoch.Add(r.since)
	if r.until != 0 {
		g.Until = time.Unix(0, r.until)
	}
	app := t.apps[appKey{g.Group, g.App}]
	t.remove(&t.used, amongAll, s)
	t.remove(app, ofApp, s)
	t.append(&t.used, amongAll, s)
	t.append(app, ofApp, s)
	return &g
}

func (t *Tokens) forget(s slab.Slot) {
	t.unlink(s)
	r := t.all.At(s)
	delete(t.known, r.token)
	t.grants.Release(r.grant)
	t.all.Remove(s)
}

// link makes s the most recently used, among all and its app's.
func (t *Tokens) link(s slab.Slot) {
	app := t.appOf(s)
	o := t.apps[app]
	if o == nil {
		o = new(order)
		t.apps[app] = o
	}
	t.append(&t.used, amongAll, s)
	t.append(o, ofApp, s)
}

// unlink undoes link.
func (t *Tokens) unlink(s slab.Slot) {
	app := t.appOf(s)
	t.remove(&t.used, amongAll, s)
	t.remove(t.apps[app], ofApp, s)
	if t.apps[app].n == 0 {
		delete(t.apps, app)
	}
}

func (t *Tokens) appOf(s slab.Slot) appKey {
	g := t.grants.At(t.all.At(s).grant)
	return appKey{g.Group, g.App}
}

func (t *Tokens) append(o *order, among int, s slab.Slot) {
	at := &t.all.At(s).place[among]
	if at.older = o.newest; at.older != 0 {
		t.all.At(at.older).place[among].newer = s
	} else {
		o.oldest = s
	}
	o.newest = s
	o.n++
}

func (t *Tokens) remove(o *order, among int, s slab.Slot) {
	at := &t.all.At(s).place[among]
	if at.older != 0 {
		t.all.At(at.older).place[among].newer = at.newer
	} else {
		o.oldest = at.newer
	}
	if at.newer != 0 {
		t.all.At(at.newer).place[among].older = at.older
	} else {
		o.newest = at.older
	}
	*at = neighbours{}
	o.n--
}

// Name remembers an app's name, which a login told that the server accepted.
func (t *Tokens) Name(group, id, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
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
