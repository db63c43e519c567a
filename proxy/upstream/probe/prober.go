package probe

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"powerjob-shim/proxy/upstream/connect"
)

const (
	// every is the interval between two probes of a server. The server logs each
	// probe, and asks its database.
	every = 5 * time.Second
	// everyRefused is the interval while nothing is sent, because the server refuses
	// connections or its name is not known.
	everyRefused = time.Second
	// within is how long a server may take to answer a probe.
	within = 5 * time.Second
)

// Prober probes a server from the start until it is ready, and again after a connection
// to it failed. Ordinary requests also show that it is ready. Make one with New. A nil
// Prober means that the server is not probed; its Doubt and Trust do nothing. Safe for
// concurrent use.
type Prober struct {
	target *Target
	log    *zap.Logger

	verdict atomic.Pointer[Verdict] // nil: nothing is known yet
	first   chan struct{}           // closed when there is a verdict
	doubts  chan struct{}           // wakes Run; has room for one
	told    Verdict                 // the last one logged; only Learn uses it
}

// New returns a Prober that logs each change of the verdict once.
func New(t *Target, log *zap.Logger) *Prober {
	return &Prober{target: t, log: log, first: make(chan struct{}), doubts: make(chan struct{}, 1)}
}

// Run probes until life ends.
func (p *Prober) Run(life context.Context) {
	var next time.Time
	for {
		select {
		case <-time.After(time.Until(next)):
		case <-life.Done():
			return
		}
		if p.Ready() { // by a probe or by an ordinary request
			select {
			case <-p.doubts:
			case <-life.Done():
				return
			}
			continue
		}
		began := time.Now()
		v := p.probe(life)
		if life.Err() != nil {
			return
		}
		p.Learn(v)
		next = began.Add(every)
		if v.unsent {
			next = began.Add(everyRefused)
		}
	}
}

// probe sends one question.
func (p *Prober) probe(ctx context.Context) Verdict {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return p.target.Ask(ctx)
}

// Learn takes a verdict, and logs it if it differs from the last one that was logged.
// Only one goroutine may call it, Run included.
func (p *Prober) Learn(v Verdict) {
	if p.verdict.Swap(&v) == nil {
		close(p.first)
	}
	if v.Ready == p.told.Ready && v.Problem == p.told.Problem {
		return
	}
	silent := v.Problem == "" && p.told.Problem == ""
	p.told = v
	switch {
	case silent: // it was right from the start
	case v.Problem == "":
		p.log.Info("upstream server is ready")
	case v.Ready:
		p.log.Warn("upstream server answers, but not like a PowerJob server", zap.String("problem", v.Problem), zap.String("advice", v.Advice))
	default:
		p.log.Warn("upstream server is not ready", zap.String("problem", v.Problem), zap.String("advice", v.Advice))
	}
}

// Doubt makes Run probe a server that was ready again, because a connection failed with err.
func (p *Prober) Doubt(err error) {
	if p == nil { // servers are not probed
		return
	}
	v := p.verdict.Load()
	if v == nil || !v.Ready {
		return
	}
	if p.verdict.CompareAndSwap(v, &Verdict{Problem: connect.Problem(err)}) {
		select {
		case p.doubts <- struct{}{}:
		default:
		}
	}
}

// Trust notes that the server answered an ordinary request with this status.
func (p *Prober) Trust(status int) {
	if p == nil { // servers are not probed
		return
	}
	v := p.verdict.Load()
	if v != nil && !v.Ready && status < http.StatusInternalServerError && status != http.StatusBadRequest {
		p.verdict.CompareAndSwap(v, &Verdict{Ready: true})
	}
}

// Ready reports whether the server is known to be ready.
func (p *Prober) Ready() bool {
	v := p.verdict.Load()
	return v != nil && v.Ready
}

// Wait waits for the first verdict, until ctx ends.
func (p *Prober) Wait(ctx context.Context) {
	select {
	case <-p.first:
	case <-ctx.Done():
	}
}

// Verdict returns what is known of the server; nil: nothing yet.
func (p *Prober) Verdict() *Verdict { return p.verdict.Load() }
