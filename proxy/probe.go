package proxy

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"powerjob-shim/proxy/upstream/connect"
)

const (
	// probeEvery lies between two probes of a server. A server logs each of them,
	// and asks its database.
	probeEvery = 5 * time.Second
	// probeRefused is the same while nothing is sent, because the server refuses
	// connections or its name is not known.
	probeRefused = time.Second
	// probeWithin is how long a server may take to answer one.
	probeWithin = 5 * time.Second
)

// prober asks one server of a group whether it is a PowerJob server, at the start
// and until it is ready. After that, connecting and ordinary requests tell, until
// a connection fails. Safe for concurrent use.
type prober struct {
	group  *upstreamGroup
	server *server
	client http.RoundTripper // a new connection each time: that it can be had is part of the question
	log    *zap.Logger

	verdict atomic.Pointer[verdict] // nil: nothing is known yet
	first   chan struct{}           // closed when the first verdict is there
	doubts  chan struct{}           // has room for one
	told    verdict                 // what the log has said; probing alone uses it
}

func newProber(g *upstreamGroup, s *server, log *zap.Logger) *prober {
	log = log.With(zap.String(fieldUpstream, g.name), zap.String(fieldUpstreamServer, s.name))
	return &prober{group: g, server: s, client: g.probing, log: log, first: make(chan struct{}), doubts: make(chan struct{}, 1)}
}

// run probes until life ends.
func (p *prober) run(life context.Context) {
	var next time.Time
	for {
		select {
		case <-time.After(time.Until(next)):
		case <-life.Done():
			return
		}
		if p.ready() { // by a probe or by an ordinary request
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
		p.learn(v)
		next = began.Add(probeEvery)
		if v.unsent {
			next = began.Add(probeRefused)
		}
	}
}

// probe sends one question.
func (p *prober) probe(ctx context.Context) verdict {
	ctx, cancel := context.WithTimeout(ctx, probeWithin)
	defer cancel()
	return p.group.assess(ctx, p.client, p.server)
}

// learn takes a verdict, and logs it once.
func (p *prober) learn(v verdict) {
	if p.verdict.Swap(&v) == nil {
		close(p.first)
	}
	if v.ready == p.told.ready && v.problem == p.told.problem {
		return
	}
	silent := v.problem == "" && p.told.problem == ""
	p.told = v
	switch {
	case silent: // it was right from the start
	case v.problem == "":
		p.log.Info("upstream server is ready")
	case v.ready:
		p.log.Warn("upstream server answers, but not like a PowerJob server", zap.String("problem", v.problem), zap.String("advice", v.advice))
	default:
		p.log.Warn("upstream server is not ready", zap.String("problem", v.problem), zap.String("advice", v.advice))
	}
}

// doubt has a server that was ready probed again: a connection failed.
func (p *prober) doubt(err error) {
	if p == nil { // servers are not probed
		return
	}
	v := p.verdict.Load()
	if v == nil || !v.ready {
		return
	}
	if p.verdict.CompareAndSwap(v, &verdict{problem: connect.Problem(err)}) {
		select {
		case p.doubts <- struct{}{}:
		default:
		}
	}
}

// trust notes that the server answered an ordinary request with this status.
func (p *prober) trust(status int) {
	if p == nil { // servers are not probed
		return
	}
	v := p.verdict.Load()
	if v != nil && !v.ready && status < http.StatusInternalServerError && status != http.StatusBadRequest {
		p.verdict.CompareAndSwap(v, &verdict{ready: true})
	}
}

// ready reports whether the server is known to be ready.
func (p *prober) ready() bool {
	v := p.verdict.Load()
	return v != nil && v.ready
}

// wait waits for the first verdict, until ctx ends.
func (p *prober) wait(ctx context.Context) {
	select {
	case <-p.first:
	case <-ctx.Done():
	}
}

// notSent reports whether an error says that no server was there to be asked.
func notSent(err error) bool {
	var dial *connect.DialError
	var dns *net.DNSError
	return errors.Is(err, syscall.ECONNREFUSED) || errors.As(err, &dial) && len(dial.Attempts) == 0 || errors.As(err, &dns)
}
