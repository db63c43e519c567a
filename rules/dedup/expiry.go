package dedup

import (
	"time"

	"powerjob-shim/internal/ordered"
)

const (
	// entryBytes is what an entry is counted for besides its answer: a login, or
	// a call in the archive with the thing that it changed, and their places in maps and
	// queues. Measured: 175 to 440 bytes (TestAnEntryTakesWhatItIsCountedFor).
	entryBytes = 450
	// callBytes is what a call is counted for besides while it is not in the archive.
	callBytes = 512
)

// clock turns the time of an event into the Machine's.
func (m *Machine) clock(t time.Time) moment {
	if m.epoch.IsZero() {
		m.epoch = t
	}
	return moment(t.Sub(m.epoch))
}

// remember puts a call that has ended into the queue of windows and makes room.
func (m *Machine) remember(now moment, c *call) {
	c.ends = now.add(c.window)
	m.expiries.Add(c.endKey(), c)
	m.grow(entryBytes + callBytes)
}

func (m *Machine) grow(bytes int64) {
	m.stats.Entries++
	m.stats.Bytes += bytes
	for (m.stats.Entries > m.limits.Entries || m.stats.Bytes > m.limits.Bytes) && m.stats.Entries > 1 {
		m.expireNext()
		m.stats.Evicted++
	}
}

// expireDue expires everything that is due at t.
func (m *Machine) expireDue(t time.Time) (now moment) {
	now = m.clock(t)
	for due(&m.leases, now) {
		c := m.leases.Pop()
		if m.calls[c.id] != c {
			continue
		}
		if c.phase == leading { // its shim is gone: nobody knows what became of it
			m.finish(now, c, Outcome{Kind: Lost})
		}
		m.forgetArrival(c)
	}
	for due(&m.opens, now) { // the client is gone that was to repeat a call
		m.close(m.opens.Pop())
	}
	for m.nextEnd() <= now {
		m.expireNext()
	}
	return now
}

// due reports whether the first of a queue is due at the moment now.
func due[T any](queue *ordered.List[T], now moment) bool {
	first, ok := queue.FirstKey()
	return ok && first.At <= int64(now)
}

// expireNext ends the window that ends next, of a call or a login.
func (m *Machine) expireNext() {
	call, archived, login := firstKey(m.expiries.FirstKey()), firstKey(m.over.FirstEnd()), firstKey(m.unused.FirstKey())
	switch {
	case min(call.At, archived.At) > login.At:
		m.stats.Entries--
		m.stats.Bytes -= entryBytes
		m.expireLogin(m.unused.Pop())
	case archived.Less(call):
		m.expireArchived()
	default:
		m.expireCall()
	}
}

// nextEnd returns when the next window ends.
func (m *Machine) nextEnd() moment {
	return moment(min(firstKey(m.expiries.FirstKey()).At, firstKey(m.over.FirstEnd()).At, firstKey(m.unused.FirstKey()).At))
}

// firstKey is the first key of a list; that of an empty one is behind everything.
func firstKey(key ordered.Key, ok bool) ordered.Key {
	if !ok {
		return end
	}
	return key
}

// expireCall forgets the call whose window ends first of those in m.expiries.
func (m *Machine) expireCall() {
	c := m.expiries.Pop()
	m.stats.Entries--
	m.stats.Bytes -= entryBytes + callBytes
	if c.recorded() && c.dedup {
		m.stats.Bytes -= c.answer.Bytes()
	}
	c.phase = dropped
	m.forgetCall(c)
	m.settle(c.history)
}
