package storetest

import (
	"context"
	"fmt"
	"sync"

	"powerjob-shim/internal/store"
	"powerjob-shim/rules/dedup"
)

// Order checks the order of the steps in which calls go through a store. The proxy and
// the simulation take them, each in its own way, and tests check both against this one.
// The zero value is ready to use; safe for concurrent use.
//
//	Arrive
//	  Wait     Await, and what its ruling says; or Leave, if the caller hung up
//	  Lead     the server is asked, then Finish, then the answer is written
//	  Pass     the same, and Finish once more does no harm
//	  Replay, Fail    the answer is written
//	  Refuse   nothing follows
//	Delivered at last, and before it Leave, if the answer was not written in full
type Order struct {
	mu    sync.Mutex
	calls map[dedup.ID]*progress // those between Arrive and Delivered
	wrong []string               // the first few breaches
}

// progress is how far a call is.
type progress struct {
	verdict        dedup.Verdict
	finished, left bool
}

// Arrived notes what Arrive returned.
func (o *Order) Arrived(id dedup.ID, v dedup.Verdict) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.calls[id] != nil {
		o.breach(id, "arrives twice")
	}
	if v == dedup.Refuse {
		return
	}
	if o.calls == nil {
		o.calls = map[dedup.ID]*progress{}
	}
	o.calls[id] = &progress{verdict: v}
}

// Awaited notes what Await returned.
func (o *Order) Awaited(id dedup.ID, v dedup.Verdict) {
	o.step(id, "Await", func(p *progress) bool {
		fits := p.verdict == dedup.Wait
		p.verdict = v
		return fits
	})
}

// Finished notes a Finish.
func (o *Order) Finished(id dedup.ID) {
	o.step(id, "Finish", func(p *progress) bool {
		fits := p.verdict == dedup.Pass || p.verdict == dedup.Lead
		p.finished = true
		return fits
	})
}

// Left notes a Leave. A hang-up may be noticed when the call is over.
func (o *Order) Left(id dedup.ID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if p := o.calls[id]; p != nil {
		p.left = true
	}
}

// Delivered notes a Delivered.
func (o *Order) Delivered(id dedup.ID) {
	o.step(id, "Delivered", func(p *progress) bool {
		delete(o.calls, id)
		switch p.verdict {
		case dedup.Lead, dedup.Pass:
			return p.finished
		case dedup.Wait:
			return p.left
		default:
			return true
		}
	})
}

// step takes a step of a call that is under way.
func (o *Order) step(id dedup.ID, name string, fits func(*progress) bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	p := o.calls[id]
	if p == nil {
		o.breach(id, name+" of a call that is not under way")
		return
	}
	if before := *p; !fits(p) {
		o.breach(id, fmt.Sprintf("%s after %+v", name, before))
	}
}

func (o *Order) breach(id dedup.ID, what string) {
	if len(o.wrong) < 10 {
		o.wrong = append(o.wrong, fmt.Sprintf("call %d: %s", id, what))
	}
}

// Breaches returns what was out of order, and how many calls are under way.
func (o *Order) Breaches() (wrong []string, underWay int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.wrong, len(o.calls)
}

// Ordered is a store that checks its users against an Order.
type Ordered struct {
	store.Store
	Order
}

// Arrive implements store.Store.
func (o *Ordered) Arrive(c dedup.Call) dedup.Ruling {
	d := o.Store.Arrive(c)
	o.Arrived(c.ID, d.Verdict)
	return d
}

// Await implements store.Store.
func (o *Ordered) Await(ctx context.Context, id dedup.ID) (dedup.Ruling, error) {
	d, err := o.Store.Await(ctx, id)
	if err == nil {
		o.Awaited(id, d.Verdict)
	}
	return d, err
}

// Finish implements store.Store.
func (o *Ordered) Finish(id dedup.ID, out dedup.Outcome) {
	o.Finished(id)
	o.Store.Finish(id, out)
}

// Leave implements store.Store.
func (o *Ordered) Leave(id dedup.ID) {
	o.Left(id)
	o.Store.Leave(id)
}

// Delivered implements store.Store.
func (o *Ordered) Delivered(id dedup.ID) {
	o.Order.Delivered(id)
	o.Store.Delivered(id)
}
