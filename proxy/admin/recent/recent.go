// Package recent remembers what the status page shows about the last hour. The code that
// decides on calls reports to it; package admin shows the result.
package recent

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"powerjob-shim/rules"
)

const (
	minutes    = 60
	maxDrops   = 50
	maxClients = 100  // addresses; beyond, the client that was silent for longest is forgotten
	ledSlots   = 4096 // see Calls.led
	maxApp     = 64   // bytes that are kept of an app id, which may be any text
)

// Calls remembers what was decided on the calls of the last hour, in at most 100 KiB of
// memory, until the process ends. Make one with New; safe for concurrent use. Decided
// and Led normally cost one atomic write each.
type Calls struct {
	start   time.Time
	minutes [minutes]minute // a minute is at its Unix time in minutes, modulo 60

	// led says when a call with some key was sent to a server. The upper half of each
	// number is a part of the key, and the lower half is milliseconds since start; 0:
	// empty. A key replaces another one that has the same slot.
	led [ledSlots]atomic.Uint64

	mu      sync.Mutex
	drops   [maxDrops]Drop         // guarded by mu; a ring
	dropped int                    // guarded by mu; how many calls were ever dropped
	clients map[netip.Addr]*Client // guarded by mu; at most maxClients
}

// minute counts the decisions of one minute. When a new minute begins, a count may still
// be added to the minute of an hour ago, and get lost.
type minute struct {
	at     atomic.Int64              // Unix time in minutes
	counts [len(shown)]atomic.Uint64 // in the order of shown
}

// shown are the decisions that are counted, in the order of Shown.
var shown = [...]rules.Decision{rules.Forwarded, rules.Replayed, rules.Coalesced, rules.Observed, rules.Bypassed, rules.Unknown}

// Shown returns the decisions in the order in which the page shows them.
func Shown() []rules.Decision { return slices.Clone(shown[:]) }

// Drop is a call that was not sent to a server because an equal call had been sent
// before. If the decision is observed, it was sent, but would have been dropped.
type Drop struct {
	At       time.Time
	Call     string
	App      string // its id, as the caller wrote it; the first 64 bytes are kept
	Subject  string // "job 3"; empty if the call creates something new
	Decision rules.Decision
	Reason   string
	// After is how long after the first call this one came. Zero: not known, because
	// another process sent the first call, or this one has sent too many since.
	After  time.Duration
	Client netip.Addr
}

// Client is a caller that re-sends its calls, which means that it does not see the
// header.
type Client struct {
	Addr    netip.Addr
	Resends int       // counted since its last pause of more than an hour
	Last    time.Time // of the last re-send
	Call    string    // that was re-sent last
}

// Minute says how often each decision was made in one minute.
type Minute struct {
	At     time.Time // its start
	Counts map[rules.Decision]uint64
}

// New returns an empty Calls.
func New() *Calls {
	return &Calls{start: time.Now(), clients: map[netip.Addr]*Client{}}
}

// Decided counts the decision on a call under a dedup rule.
func (r *Calls) Decided(now time.Time, d rules.Decision) {
	i := slices.Index(shown[:], d)
	if i < 0 {
		return
	}
	at := now.Unix() / 60
	m := &r.minutes[at%minutes]
	if m.at.Load() != at {
		r.turn(m, at)
	}
	m.counts[i].Add(1)
}

// turn empties m and makes it the minute at, unless it is that or a later one already.
func (r *Calls) turn(m *minute, at int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.at.Load() >= at {
		return
	}
	for i := range m.counts {
		m.counts[i].Store(0)
	}
	m.at.Store(at)
}

// Led notes that a call with this key was sent to a server.
func (r *Calls) Led(now time.Time, key [32]byte) {
	slot, tag := r.slot(key)
	slot.Store(tag<<32 | uint64(r.clock(now)))
}

// After returns how long before now a call with this key was sent, at least 1 ms; 0: not
// known.
func (r *Calls) After(now time.Time, key [32]byte) time.Duration {
	slot, tag := r.slot(key)
	v := slot.Load()
	if v == 0 || v>>32 != tag {
		return 0
	}
	return max(1, time.Duration(r.clock(now)-uint32(v))) * time.Millisecond
}

// slot returns the place in led for a key, and the part of the key that is kept there.
func (r *Calls) slot(key [32]byte) (*atomic.Uint64, uint64) {
	return &r.led[binary.LittleEndian.Uint16(key[:])%ledSlots], uint64(binary.LittleEndian.Uint32(key[2:]))
}

// clock returns the milliseconds since start; it starts again from 0 after 49 days.
func (r *Calls) clock(now time.Time) uint32 {
	return uint32(now.Sub(r.start).Milliseconds())
}

// Dropped notes a dropped call; see Drop.
func (r *Calls) Dropped(d Drop) {
	d.App = shorten(d.App)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drops[r.dropped%maxDrops] = d
	r.dropped++
}

// shorten returns a copy of an app id: at most maxApp bytes, with an ellipsis if it was
// longer. It copies because the id is a part of its request's header: without a copy,
// the whole header would stay in memory.
func shorten(app string) string {
	if len(app) <= maxApp {
		return strings.Clone(app)
	}
	return strings.ToValidUTF8(app[:maxApp], "") + "…"
}

// Resent notes a re-send. Call it only for a client that has made several within a short
// time.
func (r *Calls) Resent(now time.Time, client netip.Addr, call string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.clients[client]
	if c == nil {
		if len(r.clients) >= maxClients {
			r.makeRoom()
		}
		c = &Client{Addr: client}
		r.clients[client] = c
	}
	if now.Sub(c.Last) > time.Hour {
		c.Resends = 0
	}
	c.Resends++
	c.Last, c.Call = now, call
}

// makeRoom forgets the client that has been silent for longest. The caller holds mu.
func (r *Calls) makeRoom() {
	var oldest *Client
	for _, c := range r.clients {
		if oldest == nil || c.Last.Before(oldest.Last) {
			oldest = c
		}
	}
	delete(r.clients, oldest.Addr)
}

// Minutes returns the last hour, the oldest minute first.
func (r *Calls) Minutes(now time.Time) []Minute {
	last := now.Unix() / 60
	all := make([]Minute, minutes)
	for i := range all {
		at := last - minutes + 1 + int64(i)
		all[i] = Minute{At: time.Unix(at*60, 0), Counts: map[rules.Decision]uint64{}}
		m := &r.minutes[at%minutes]
		if m.at.Load() != at {
			continue
		}
		for k, d := range shown {
			all[i].Counts[d] = m.counts[k].Load()
		}
	}
	return all
}

// Drops returns the last dropped calls, the newest first.
func (r *Calls) Drops() []Drop {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Drop, 0, min(r.dropped, maxDrops))
	for i := range cap(all) {
		all = append(all, r.drops[(r.dropped-1-i)%maxDrops])
	}
	return all
}

// Clients returns the clients that re-sent calls within the last hour, the latest first.
func (r *Calls) Clients(now time.Time) []Client {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := []Client{}
	for _, c := range r.clients {
		if now.Sub(c.Last) <= time.Hour {
			all = append(all, *c)
		}
	}
	slices.SortFunc(all, func(a, b Client) int {
		return cmp.Or(b.Last.Compare(a.Last), a.Addr.Compare(b.Addr))
	})
	return all
}
