package sim

import (
	"slices"
	"time"

	"powerjob-shim/internal/store/redislog"
	"powerjob-shim/rules/dedup"
)

// log is Redis' stream of internal/store/redislog, as the script there treats it.
type log struct {
	w        *world
	entries  []redislog.Entry
	last     redislog.Position
	replicas uint64
	lastID   dedup.ID
}

func (l *log) execute(a redislog.Append) redislog.Page {
	p := redislog.Page{Now: l.w.now}
	now := uint64(l.w.now.UnixMilli())
	for _, e := range a.Events {
		if now > l.last.MS {
			l.last = redislog.Position{MS: now}
		} else {
			l.last.Seq++
		}
		l.entries = append(l.entries, redislog.Entry{At: l.last, Data: e})
		p.Own = append(p.Own, l.last)
	}
	from := slices.IndexFunc(l.entries, func(e redislog.Entry) bool { return e.At.After(a.After) })
	if from >= 0 {
		p.Entries = slices.Clone(l.entries[from:min(from+redislog.PageSize, len(l.entries))])
		p.Full = len(p.Entries) == redislog.PageSize
	}
	return p
}

// lose is a failover that loses the log's end, or all of it. New entries may then come
// before those that some shims have read.
func (l *log) lose(keep int) {
	l.entries = l.entries[:keep]
	l.last = redislog.Position{}
	if keep > 0 {
		l.last = l.entries[keep-1].At
	}
}

// line is one replica's way to the log.
type line struct {
	w       *world
	trouble trouble
	until   time.Time
}

// trouble is a line's fault.
type trouble uint8

const (
	none    trouble = iota
	silence         // nothing comes through, and nobody says so
	refusal         // every connection is broken at once
	lag             // everything takes long
	mute            // requests are executed, and half of the answers are lost
)

func (l *line) has(t trouble) bool { return l.trouble == t && l.w.now.Before(l.until) }

// send executes a at the log. It calls then once, at the deadline at the latest.
func (l *line) send(log *log, a redislog.Append, deadline time.Time, then func(redislog.Page, error)) {
	w, done := l.w, false
	end := func(p redislog.Page, err error) {
		if !done {
			done = true
			then(p, err)
		}
	}
	w.background(deadline.Sub(w.now), func() { end(redislog.Page{}, errTimeout) })
	l.cross(func() { // there
		if l.has(refusal) {
			end(redislog.Page{}, errReset)
			return
		}
		p := log.execute(a)
		l.cross(func() { // and back
			if l.has(refusal) || l.has(mute) && w.chance(0.5) {
				end(redislog.Page{}, errReset)
				return
			}
			end(p, nil)
		})
	})
}

func (l *line) cross(then func()) {
	d := l.w.between(ms/10, ms/2)
	if l.has(lag) {
		d += l.w.between(0, 300*ms)
	}
	l.w.background(d, func() {
		if !l.has(silence) {
			then()
		}
	})
}
