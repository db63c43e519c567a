package redislog

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"powerjob-shim/rules/dedup"
)

// group is one upstream group's log as this replica sees it: a Node, with the
// clock, the lock, the goroutine and the connection that a Node lacks.
type group struct {
	s    *Store
	name string
	key  string
	wake chan struct{} // has room for one: there is something to send
	read chan struct{} // closed when the log has been read to its end once

	mu   sync.Mutex
	node *Node // guarded by mu
}

func newGroup(s *Store, name string) *group {
	return &group{
		s: s, name: name, key: s.o.Prefix + "{" + name + "}:log",
		wake: make(chan struct{}, 1), read: make(chan struct{}),
		node: NewNode(NodeOptions{
			Group: name, Replica: s.replica, Timeout: s.o.Timeout, Limits: s.o.Limits, Logger: s.o.Logger, Failed: s.o.Failed,
		}),
	}
}

// submit has an event appended and waits until it is applied. After wait it applies the
// event itself.
func (g *group) submit(e *Event, wait time.Duration) *Pending {
	p := g.post(e)
	if wait > 0 && !p.Applied() {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-p.applied:
			return p
		case <-timer.C:
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.node.Hurry(time.Now(), p)
	return p
}

// post has an event appended and does not wait.
func (g *group) post(e *Event) *Pending {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.node.Post(time.Now(), e)
	if g.node.Works() {
		g.poke()
	}
	return p
}

func (g *group) poke() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

func (g *group) refused() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.node.Refused()
}

func (g *group) delivered(id dedup.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.node.Delivered(id) {
		g.poke()
	}
}

func (g *group) await(ctx context.Context, id dedup.ID) (dedup.Ruling, error) {
	g.mu.Lock()
	ch := g.node.Waiting(id)
	g.mu.Unlock()
	if ch == nil {
		return dedup.Ruling{Verdict: dedup.Fail, Outcome: dedup.Lost}, nil
	}
	g.poke() // poll faster from now on
	select {
	case d := <-ch:
		g.mu.Lock()
		g.node.Resumed(id)
		g.mu.Unlock()
		return d, nil
	case <-ctx.Done():
		return dedup.Ruling{}, ctx.Err()
	}
}

// run appends and reads until the store is closed, with one append at a time: events
// that come meanwhile go with the next.
func (g *group) run() {
	defer func() { _ = g.s.o.Logger.Sync() }() // a panic here ends the process; the log lines before it are still written
	for {
		if pause, wake := g.pause(); pause > 0 {
			timer := time.NewTimer(pause)
			select {
			case <-wake:
			case <-timer.C:
			case <-g.s.life.Done():
			}
			timer.Stop()
		}
		g.round()
		if g.s.life.Err() != nil {
			g.round() // for the last events
			return
		}
	}
}

// pause returns how long to wait for the next round, and what ends that early; nil: nothing.
func (g *group) pause() (time.Duration, <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	low, high, early := g.node.Pause()
	if high > low {
		low += rand.N(high - low) //nolint:gosec // only so that replicas do not act at the same moment
	}
	if !early {
		return low, nil
	}
	return low, g.wake
}

// round appends the waiting events and reads what others wrote.
func (g *group) round() {
	select {
	case <-g.wake: // it was for events that go now
	default:
	}
	g.mu.Lock()
	began := time.Now()
	a := g.node.Next(began)
	g.mu.Unlock()

	ctx, cancel := context.WithTimeout(context.Background(), a.Timeout)
	defer cancel()
	got, err := appendTo(ctx, g.s.o.Client, g.key, a)
	if err != nil && mayPass(err) && ctx.Err() == nil {
		// Perhaps only the connection was old. If the events did get into the
		// log, they are in it twice, and applied once.
		got, err = appendTo(ctx, g.s.o.Client, g.key, a)
	}

	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if err != nil {
		g.node.Failed(now, err)
		return
	}
	before := g.node.CaughtUp()
	g.node.Succeeded(now, got, now.Sub(began))
	if !before && g.node.CaughtUp() {
		close(g.read)
	}
}

// mayPass reports whether a second attempt may succeed: Redis' own refusals do
// not go away at once.
func mayPass(err error) bool {
	var refusal redis.Error
	return !errors.As(err, &refusal) && !errors.Is(err, context.DeadlineExceeded)
}

// works reports whether the circuit is closed.
func (g *group) works() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.node.Works()
}

func (g *group) stats() dedup.Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.node.r.machine.Stats()
}

// problem is a line for people; empty while all is well.
func (g *group) problem() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.node.problem()
}
