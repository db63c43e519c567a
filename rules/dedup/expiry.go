package dedup

import (
	"container/heap"
	"slices"
	"time"
)

// entryBytes is what an entry is counted for besides its answer: the call, its
// history, its subject, their places in the maps and queues. Measured by
// BenchmarkRemembered in package proxy: about 970 bytes.
const entryBytes = 1024

// remember puts a call that has ended into the queue of windows and makes room.
func (m *Machine) remember(now time.Time, c *call) {
	c.expiry = due{at: now.Add(c.window), call: c}
	heap.Push(&m.expiries, &c.expiry)
	m.grow()
}

func (m *Machine) grow() {
	m.stats.Entries++
	m.stats.Bytes += entryBytes
	for (m.stats.Entries > m.limits.Entries || m.stats.Bytes > m.limits.Bytes) && len(m.expiries) > 1 {
		if m.expire(m.expiries.pop()) {
			m.stats.Evicted++
		}
	}
}

// sweep ends all whose time has come.
func (m *Machine) sweep(now time.Time) {
	for len(m.leases) > 0 && !m.leases[0].at.After(now) {
		c := m.leases.pop().call
		if m.calls[c.id] != c {
			continue
		}
		if c.phase == leading { // its shim is gone: nobody knows what became of it
			m.finish(now, c, Outcome{Kind: Lost})
		}
		m.forget(c)
	}
	for len(m.expiries) > 0 && !m.expiries[0].at.After(now) {
		m.expire(m.expiries.pop())
	}
}

// trimLeases drops the leases of calls that have ended once they are in the
// majority: else a call, with its answer, would be held until its lease ends.
func (m *Machine) trimLeases() {
	if len(m.leases) > 2*len(m.calls)+64 {
		m.leases = slices.DeleteFunc(m.leases, func(d *due) bool { return m.calls[d.call.id] != d.call })
		heap.Init(&m.leases)
	}
}

// expire ends an entry's window, and reports whether something was forgotten.
func (m *Machine) expire(d *due) bool {
	m.stats.Entries--
	m.stats.Bytes -= entryBytes
	if l := d.login; l != nil {
		if d.at.Before(l.expires) { // it was used meanwhile
			m.stats.Entries++
			m.stats.Bytes += entryBytes
			d.at = l.expires
			heap.Push(&m.expiries, d)
			return false
		}
		m.dropLogin(l)
		return true
	}
	c := d.call
	if c.recorded() && c.dedup {
		m.stats.Bytes -= int64(len(c.answer.Body))
	}
	c.phase = dropped
	m.clear(c)
	return true
}

// due is a moment at which something ends: it lies within the call or login
// whose end it is, so that a queue needs no memory of its own.
type due struct {
	at    time.Time
	call  *call
	login *login
}

// queue is a heap, the earliest first. The zero value is empty.
type queue []*due

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

// Push implements heap.Interface; callers use heap.Push.
func (q *queue) Push(x any) { *q = append(*q, x.(*due)) }

// Pop implements heap.Interface; callers use pop.
func (q *queue) Pop() any {
	old := *q
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return last
}

func (q *queue) pop() *due { return heap.Pop(q).(*due) }
