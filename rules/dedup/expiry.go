package dedup

import (
	"time"

	"powerjob-shim/internal/ordered"
)

const (
	// entryBytes is charged for an entry, in addition to its answer: for a login, or for
	// an archived call with the thing that it changed, and their places in maps and
	// queues. Measured: 175 to 440 bytes (TestAnEntryTakesWhatItIsCountedFor).
	entryBytes = 450
	// callBytes is charged in addition for a call that is not in the archive.
	callBytes = 512
)

// remembered is what is forgotten when its window ends: a call or a login.
type remembered interface{ expire(m *Machine) }

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
	m.windows.Add(c.endKey(), c)
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
	due := func(first ordered.Key) bool { return first.At <= int64(now) }
	for due(m.leases.FirstKey()) {
		c := m.leases.Pop()
		if m.calls[c.id] != c {
			continue
		}
		if c.phase == leading { // its shim is gone: nobody knows what became of it
			m.finish(now, c, Outcome{Kind: Lost})
		}
		m.forgetArrival(c)
	}
	for due(m.opens.FirstKey()) { // the client that was to repeat a call is gone
		m.close(m.opens.Pop())
	}
	for due(m.windows.FirstKey()) || due(m.over.FirstEnd()) {
		m.expireNext()
	}
	return now
}

// expireNext ends the window that ends next.
func (m *Machine) expireNext() {
	m.stats.Entries--
	m.stats.Bytes -= entryBytes
	if m.over.FirstEnd().Less(m.windows.FirstKey()) {
		m.expireArchived()
	} else {
		m.windows.Pop().expire(m)
	}
}

func (c *call) expire(m *Machine) {
	m.stats.Bytes -= callBytes
	if c.recorded() && c.dedup {
		m.stats.Bytes -= c.answer.Bytes()
	}
	c.phase = dropped
	m.forgetCall(c)
	m.settle(c.history)
}

// expireArchived expires the archived call whose window ends first.
func (m *Machine) expireArchived() {
	o := m.over.Expire()
	if o.Facts.dedup {
		m.stats.Bytes -= o.Bytes
	}
	if refused := o.By.in.refusedLike(&o.Facts.mark); refused != nil {
		refused.Remove(ordered.Key{At: int64(o.Facts.mark.at), N: o.Arrival})
	}
	m.things.Release(o.By.group, o.Watches[:]...)
	if h := m.histories[o.Key]; h != nil {
		m.settle(h)
	}
}
