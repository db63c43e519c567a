// Package recent remembers what the status page shows of the last hour. Whoever decides
// on calls tells it; package admin shows it.
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
	maxClients = 100 // addresses; the longest silent one makes room
	ledSlots   = 4096
	maxApp     = 64 // bytes that are kept of an app id; a caller may send any text
)

// Calls remembers what was decided on the calls of the last hour, in at most 100 KiB. It
// is forgotten when the process ends. Make one with New; safe for
// concurrent use. Telling it of a call costs one atomic addition.
type Calls struct {
	start   time.Time
	minutes [minutes]minute // by Unix minute, modulo

	// led tells when a call with some key was sent to a server: the upper half of
	// each number is a part of the key, the lower half milliseconds since start.
	// Keys that share a slot replace each other.
	led [ledSlots]atomic.Uint64

	mu      sync.Mutex
	drops   [maxDrops]Drop // guarded by mu; a ring
	dropped int            // guarded by mu; how many there ever were
	clients map[netip.Addr]*Client
}

// minute counts the decisions of one minute. Where a minute begins, a count may
// still go to the one an hour before, and be lost.
type minute struct {
	at     atomic.Int64 // Unix time in minutes
	counts [len(shown)]atomic.Uint64
}

// shown is what Shown returns.
var shown = [...]rules.Decision{rules.Forwarded, rules.Replayed, rules.Coalesced, rules.Observed, rules.Bypassed, rules.Unknown}

// Shown returns the decisions in the order in which the page shows them.
func Shown() []rules.Decision { return slices.Clone(shown[:]) }

// Drop is a call that was not sent to a server because an equal one had been,
// or, with the decision observed, one that would not have been.
type Drop struct {
	At       time.Time
	Call     string
	App      string // its id, as the caller wrote it; the first 64 bytes are kept
	Subject  string // "job 3"; empty where a new thing is made
	Decision rules.Decision
	Reason   string
	// After is how long after the first call it came. Zero: this process did not
	// send the first one, or sent too many since.
	After  time.Duration
	Client netip.Addr
}

// Client is a caller that re-sends its calls: it does not see the header.
type Client struct {
	Addr    netip.Addr
	Resends int // in the hour before Last
	Last    time.Time
	Call    string // the last one's
}

// Minute is what was decided in one minute.
type Minute struct {
	At     time.Time
	Counts map[rules.Decision]uint64
}

// New returns an empty memory.
func New() *Calls {
	return &Calls{start: time.Now(), clients: map[netip.Addr]*Client{}}
}

// Decided counts what became of a call under a dedup rule.
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

// turn makes an old minute the new one.
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

// After is how long before now a call with this key was sent, at least 1 ms; 0:
// not known.
func (r *Calls) After(now time.Time, key [32]byte) time.Duration {
	slot, tag := r.slot(key)
	v := slot.Load()
	if v == 0 || v>>32 != tag {
		return 0
	}
	return max(1, time.Duration(r.clock(now)-uint32(v))) * time.Millisecond
}

func (r *Calls) slot(key [32]byte) (*atomic.Uint64, uint64) {
	return &r.led[binary.LittleEndian.Uint16(key[:])%ledSlots], uint64(binary.LittleEndian.Uint32(key[2:]))
}

// clock counts milliseconds since the start; it begins again after 49 days.
func (r *Calls) clock(now time.Time) uint32 {
	return uint32(now.Sub(r.start).Milliseconds())
}

// Dropped notes a call that was not sent.
func (r *Calls) Dropped(d Drop) {
	d.App = shorten(d.App)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drops[r.dropped%maxDrops] = d
	r.dropped++
}

// shorten returns a copy of an app id of at most maxApp bytes, and a mark where it
// was longer. A copy, because the id is a part of its request's whole header, which
// would be kept with it.
func shorten(app string) string {
	if len(app) <= maxApp {
		return strings.Clone(app)
	}
	return strings.ToValidUTF8(app[:maxApp], "") + "…"
}

// Resent notes a re-send of a client that made several.
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

// makeRoom forgets the client that has been silent for longest. It needs mu.
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
