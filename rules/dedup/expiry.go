package dedup

import (
	"container/heap"
	"slices"
	"time"
)

// entryBytes is what an entry is counted for besides its answer: the call, its
// history, its place in the maps and queues.
const entryBytes = 512

// remember puts a call that has ended into the queue of windows and makes room.
func (m *Machine) remember(now time.Time, c *call) {
	c.expires = now.Add(c.window)
	m.expiries.push(c.expires, c, nil)
	m.grow()
}

func (m *Machine) grow() {
	m.stats.Entries++
	m.stats.Bytes += entryBytes
	for (m.stats.Entries > m.limits.Entries || m.stats.Bytes > m.limits.Bytes) && len(m.expiries) > 1 {
		if m.expire(heap.Pop(&m.expiries).(item)) {
			m.stats.Evicted++
		}
	}
}

// sweep ends all whose time has come.
func (m *Machine) sweep(now time.Time) {
	for len(m.leases) > 0 && !m.leases[0].at.After(now) {
		c := heap.Pop(&m.leases).(item).call
		if m.calls[c.id] != c {
			continue
		}
		if c.phase == leading { // its shim is gone: nobody knows what became of it
			m.finish(now, c, Outcome{Kind: Lost})
		}
		m.forget(c)
	}
	for len(m.expiries) > 0 && !m.expiries[0].at.After(now) {
		m.expire(heap.Pop(&m.expiries).(item))
	}
}

// trimLeases drops the leases of calls that have ended once they are in the
// majority: else a call, with its answer, would be held until its lease ends.
func (m *Machine) trimLeases() {
	if len(m.leases) > 2*len(m.calls)+64 {
		m.leases = slices.DeleteFunc(m.leases, func(it item) bool { return m.calls[it.call.id] != it.call })
		heap.Init(&m.leases)
	}
}

// expire ends an entry's window, and reports whether something was forgotten.
func (m *Machine) expire(it item) bool {
	m.stats.Entries--
	m.stats.Bytes -= entryBytes
	if l := it.login; l != nil {
		if it.at.Before(l.expires) { // it was used meanwhile
			m.stats.Entries++
			m.stats.Bytes += entryBytes
			m.expiries.push(l.expires, nil, l)
			return false
		}
		m.dropLogin(l)
		return true
	}
	c := it.call
	if c.recorded() && c.dedup {
		m.stats.Bytes -= int64(len(c.answer.Body))
	}
	c.phase = dropped
	m.clear(c)
	return true
}

// item is a call or a login in a queue.
type item struct {
	at    time.Time
	call  *call
	login *login
}

// queue is a heap of items, the earliest first.
type queue []item

func (q *queue) push(at time.Time, c *call, l *login) { heap.Push(q, item{at, c, l}) }

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)        { *q = append(*q, x.(item)) }
func (q *queue) Pop() any {
	old := *q
	last := old[len(old)-1]
	old[len(old)-1] = item{}
	*q = old[:len(old)-1]
	return last
}
