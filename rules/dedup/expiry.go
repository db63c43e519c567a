package dedup

import (
	"time"

	"powerjob-shim/internal/ordered"
)

const (
	// entryBytes is what an entry is counted for besides its answer: a login, or
	// a packed call with the thing that it changed, and their places in maps and
	// queues. Measured: 175 to 440 bytes (TestAnEntryTakesWhatItIsCountedFor).
	entryBytes = 450
	// callBytes is what a call is counted for besides while it is not packed.
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
	m.expiries.Add(ordered.Key{At: int64(now.add(c.window)), N: c.arrival}, m.slotOf(c))
	m.grow(entryBytes + callBytes)
}

func (m *Machine) grow(bytes int64) {
	m.stats.Entries++
	m.stats.Bytes += bytes
	for (m.stats.Entries > m.limits.Entries || m.stats.Bytes > m.limits.Bytes) && m.expiries.Len()+m.unused.Len() > 1 {
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
	for due(&m.expiries, now) || due(&m.unused, now) {
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
	call, calls := m.expiries.FirstKey()
	login, logins := m.unused.FirstKey()
	if calls && (!logins || call.At <= login.At) {
		m.expireCall(m.expiries.Pop())
		return
	}
	m.stats.Entries--
	m.stats.Bytes -= entryBytes
	m.expireLogin(m.unused.Pop())
}

// slotOf returns the slot of a call that is to be remembered.
func (m *Machine) slotOf(c *call) slot {
	if c.slot == 0 {
		c.slot = m.records.Add()
		m.live[c.slot] = c
	}
	return c.slot
}

// expireCall forgets a call.
func (m *Machine) expireCall(s slot) {
	m.stats.Entries--
	m.stats.Bytes -= entryBytes
	c := m.live[s]
	if c == nil {
		m.expirePacked(s)
		return
	}
	m.stats.Bytes -= callBytes
	if c.recorded() && c.dedup {
		m.stats.Bytes -= c.answer.bytes()
	}
	c.phase = dropped
	m.forgetCall(c)
	c.slot = 0
	delete(m.live, s)
	m.records.Remove(s)
	m.pack(c.history)
}
