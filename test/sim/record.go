package sim

import (
	"time"

	"powerjob-shim/internal/store/storetest"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/dedup"
)

// record is what a shim asks of its dedup store, as proxy/replay does. An answer may
// take a while, so it goes to a function.
type record interface {
	nextID() dedup.ID
	arrive(c dedup.Call, then func(dedup.Ruling))
	// await is for a call that was told to wait. A call that has left by then has
	// no decision.
	await(id, leader dedup.ID, left func() bool, then func(dedup.Ruling))
	leave(id dedup.ID)
	finish(id dedup.ID, out dedup.Outcome, then func())
	delivered(id dedup.ID)
	now(then func(time.Time))
	issued(in dedup.Issue, then func())
	presented(t access.Token)
	undelivered(t access.Token)
	// restart forgets what the shim alone knew.
	restart()
}

// orderly is a record that checks the order of its user's steps.
type orderly struct {
	record
	order storetest.Order
}

// held returns r; in a traced history one that checks the order of a call's steps.
func (w *world) held(r record) record {
	if w.trace == nil {
		return r
	}
	o := &orderly{record: r}
	w.orders = append(w.orders, &o.order)
	return o
}

func (o *orderly) arrive(c dedup.Call, then func(dedup.Ruling)) {
	o.record.arrive(c, func(d dedup.Ruling) {
		o.order.Arrived(c.ID, d.Verdict)
		then(d)
	})
}

func (o *orderly) await(id, leader dedup.ID, left func() bool, then func(dedup.Ruling)) {
	o.record.await(id, leader, left, func(d dedup.Ruling) {
		o.order.Awaited(id, d.Verdict)
		then(d)
	})
}

func (o *orderly) finish(id dedup.ID, out dedup.Outcome, then func()) {
	o.order.Finished(id)
	o.record.finish(id, out, then)
}

func (o *orderly) leave(id dedup.ID) {
	o.order.Left(id)
	o.record.leave(id)
}

func (o *orderly) delivered(id dedup.ID) {
	o.order.Delivered(id)
	o.record.delivered(id)
}

// memory is a Machine at hand: a shim's own, or one that shims share as if no
// network were between them.
type memory struct {
	w       *world
	shared  bool
	machine *dedup.Machine
	lastID  dedup.ID
	waiting map[dedup.ID][]func() // by leader
}

func newMemory(w *world) *memory {
	return &memory{w: w, shared: w.Shared, machine: w.newMachine(), waiting: map[dedup.ID][]func(){}}
}

func (m *memory) nextID() dedup.ID {
	m.lastID++
	return m.lastID
}

func (m *memory) arrive(c dedup.Call, then func(dedup.Ruling)) { then(m.machine.Arrive(m.w.now, c)) }

func (m *memory) await(id, leader dedup.ID, left func() bool, then func(dedup.Ruling)) {
	m.waiting[leader] = append(m.waiting[leader], func() {
		if !left() {
			then(m.machine.Resume(m.w.now, id))
		}
	})
}

func (m *memory) finish(id dedup.ID, out dedup.Outcome, then func()) {
	m.machine.Finish(m.w.now, id, out)
	all := m.waiting[id]
	delete(m.waiting, id)
	for _, resume := range all {
		resume()
	}
	then()
}

func (m *memory) leave(id dedup.ID)          { m.machine.Leave(m.w.now, id) }
func (m *memory) delivered(id dedup.ID)      { m.machine.Delivered(m.w.now, id) }
func (m *memory) now(then func(time.Time))   { then(m.w.now) }
func (m *memory) presented(t access.Token)   { m.machine.Presented(m.w.now, t) }
func (m *memory) undelivered(t access.Token) { m.machine.Presented(m.w.now, t) }
func (m *memory) issued(in dedup.Issue, then func()) {
	m.machine.Issued(m.w.now, in)
	then()
}

func (m *memory) restart() {
	if !m.shared {
		m.machine, m.waiting = m.w.newMachine(), map[dedup.ID][]func(){}
	}
}
