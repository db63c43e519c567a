package shared

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"
)

const (
	// idlePoll is how often others' entries are read while nobody waits for any:
	// what is read before Redis goes away is known afterwards.
	idlePoll = 250 * time.Millisecond
	// For a caller who waits, another replica's answer is looked for this often.
	waitPollLow, waitPollHigh = 5 * time.Millisecond, 50 * time.Millisecond

	// batchEvents and batchBytes bound what one append sends.
	batchEvents, batchBytes = 256, 1 << 20
	// Events that were applied here while Redis was away are told late: so many
	// bytes of them at most, and none older than lateFor, which is a usual window.
	lateBytes, lateFor = 4 << 20, 5 * time.Second

	// keepAtMost bounds for how long entries stay in Redis on the word of a
	// lease: some upstreams have no timeout.
	keepAtMost = 10 * time.Minute
)

// run appends and reads until the store is closed. One append at a time: what
// comes meanwhile goes with the next.
func (g *group) run() {
	for {
		pause, wake := g.pause()
		if pause > 0 {
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
			g.round() // what came last
			return
		}
	}
}

// pause is how long to wait for the next round, and what ends it early.
func (g *group) pause() (time.Duration, <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.health.open:
		return jitter(probeEvery*3/4, probeEvery*5/4), nil
	case len(g.queue) > 0 || g.more:
		return 0, nil
	case len(g.waits) > 0:
		return jitter(waitPollLow, waitPollHigh), g.wake
	}
	return jitter(idlePoll*3/4, idlePoll*5/4), g.wake
}

func jitter(low, high time.Duration) time.Duration {
	return low + rand.N(high-low) //nolint:gosec // to be apart from others
}

// round appends what there is and reads what others wrote.
func (g *group) round() {
	g.mu.Lock()
	batch := g.batch()
	after, keep, timeout := g.at, g.keep, g.s.o.Timeout
	if g.health.open || !g.readOnce && len(batch) == 0 { // nobody waits: connecting may take longer
		timeout = max(timeout, 2*time.Second)
	}
	g.mu.Unlock()

	events := make([][]byte, len(batch))
	for i, p := range batch {
		events[i] = p.data
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	got, err := appendTo(ctx, g.s.o.Client, g.key, after, keep, events)
	if err != nil && mayPass(err) && ctx.Err() == nil {
		// Perhaps only the connection was old. If the events did get into the
		// log, they are there twice, and applied once.
		got, err = appendTo(ctx, g.s.o.Client, g.key, after, keep, events)
	}

	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil {
		g.failed(batch, err)
		return
	}
	g.succeeded(batch, got, time.Since(began))
}

// mayPass reports whether a second attempt may succeed: Redis' own refusals do
// not go away at once.
func mayPass(err error) bool {
	var refusal redis.Error
	return !errors.As(err, &refusal) && !errors.Is(err, context.DeadlineExceeded)
}

// batch is what goes with the next append.
func (g *group) batch() []*pending {
	select {
	case <-g.wake: // for what goes now
	default:
	}
	g.shorten()
	due := time.Since(g.sentAt) >= heartbeat
	if len(g.over) > 0 && (due || len(g.queue) > 0 || len(g.over) >= batchEvents) {
		g.enqueue(&Event{kind: delivered, ids: g.over})
		g.over = nil
	}
	if len(g.queue) == 0 && (due && g.open > 0 || g.health.open) {
		g.enqueue(&Event{kind: tick})
	}
	n, bytes := 0, 0
	for n < len(g.queue) && n < batchEvents && (n == 0 || bytes+len(g.queue[n].data) <= batchBytes) {
		bytes += len(g.queue[n].data)
		n++
	}
	return slices.Clone(g.queue[:n])
}

// shorten drops what is too late to be told.
func (g *group) shorten() {
	for len(g.queue) > 0 && g.queue[0].isApplied() && (g.queued > lateBytes || time.Since(g.queue[0].made) > lateFor) {
		g.drop()
	}
}

func (g *group) drop() {
	g.queued -= len(g.queue[0].data)
	g.queue[0] = nil
	g.queue = g.queue[1:]
}

// failed applies here what could not be appended.
func (g *group) failed(batch []*pending, err error) {
	if len(batch) == 0 {
		g.s.o.Failed("read")
	}
	for _, p := range batch {
		if !p.isApplied() {
			g.applyHere(p)
		}
	}
	if g.health.failure(err, time.Now()) {
		g.s.o.Logger.Warn("the shared dedup store does not work; this replica deduplicates alone until it does",
			zap.String("group", g.name), zap.Error(err))
	}
	if g.health.open {
		for _, p := range g.queue {
			if !p.isApplied() {
				g.applyOne(p)
			}
		}
		// Nobody will hear what becomes of the others' calls.
		g.tell(g.r.EndOthers(g.s.replica))
	}
}

// succeeded takes in what stands in the log.
func (g *group) succeeded(batch []*pending, got page, took time.Duration) {
	g.clock = time.Until(got.now)
	if len(batch) > 0 {
		g.sentAt = time.Now()
		for last := batch[len(batch)-1].e.N; len(g.queue) > 0 && g.queue[0].e.N <= last; g.drop() {
			if p := g.queue[0]; !p.isApplied() && !p.e.unawaited() {
				g.sent[p.e.N] = p
			}
		}
	}
	if took <= g.s.o.Timeout && g.health.success() {
		g.s.o.Logger.Info("the shared dedup store works again", zap.String("group", g.name))
	}
	if len(got.own) > 0 && !got.own[0].after(g.at) {
		g.s.o.Logger.Warn("the shared dedup store has lost the end of its log, or all of it; reading it again", zap.String("group", g.name))
		g.r.Rebase(got.own[0].time())
		g.at, g.more = position{}, true
		return
	}
	for _, e := range got.entries {
		g.at = e.at
		g.take(e)
	}
	if g.more = got.full; !g.more && !g.readOnce {
		g.readOnce = true
		close(g.read)
	}
}

// take applies one entry of the log.
func (g *group) take(in entry) {
	e, err := decode(in.data)
	if err != nil {
		g.s.o.Failed("decode")
		return
	}
	var p *pending
	if e.Replica == g.s.replica {
		p = g.sent[e.N]
		delete(g.sent, e.N)
	}
	g.apply(e, in.at.time(), p)
}
