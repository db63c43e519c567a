package proxy

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"powerjob-shim/internal/store"
	"powerjob-shim/metrics"
	"powerjob-shim/proxy/admin/recent"
	"powerjob-shim/proxy/body"
	"powerjob-shim/proxy/replay"
	"powerjob-shim/proxy/routing"
	up "powerjob-shim/proxy/upstream"
	"powerjob-shim/proxy/upstream/connect"
	"powerjob-shim/rules/access"
)

// maxBodiesAtOnce bounds the total bytes of all request bodies that are held at one time.
const maxBodiesAtOnce = 32 << 20

// Proxy forwards requests. It is an http.Handler, safe for concurrent use.
// Make one with New.
type Proxy struct {
	log     *zap.Logger
	metrics *metrics.Metrics
	dialer  *connect.Dialer
	probing bool // see Options.Probe
	version string
	started time.Time
	process string // random; see routing.Compile

	snap    atomic.Pointer[routing.Snapshot]
	swap    sync.Mutex // held by Swap
	handler http.Handler
	bodies  body.Holder

	store  store.Store
	replay *replay.Replayer
	tokens *access.Tokens
	// sharedTokens are the tokens of other replicas; nil without a shared store.
	sharedTokens access.SharedTokens
	examinations examinations
	ready        func() error // see Options.Ready; nil: the servers decide
	recent       *recent.Calls

	draining atomic.Bool  // makes /readyz fail
	active   atomic.Int64 // requests being served, hijacked ones included

	// life ends, with exchange.ErrStopping as its cause, when requests still in flight
	// must be answered at once. A call that is detached from its caller must watch
	// life.
	life context.Context
	end  context.CancelCauseFunc

	running sync.WaitGroup // background work of groups and examinations; it ends with life
}

// New makes a Proxy. It starts the health checks, if there are any, but opens no
// listener. All problems of the settings are reported, joined.
func New(o Options, s Settings) (*Proxy, error) {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Metrics == nil {
		o.Metrics = metrics.New(nil, nil)
	}
	if o.Dialer == nil {
		o.Dialer = new(connect.Dialer)
	}
	p := &Proxy{log: o.Logger, metrics: o.Metrics, dialer: o.Dialer, probing: o.Probe, version: o.Version, started: time.Now(), process: rand.Text(), recent: recent.New()}
	p.life, p.end = context.WithCancelCause(context.Background())
	if p.store = o.Store; p.store == nil {
		p.store = store.NewMemory(s.Dedup.Limits)
	}
	p.metrics.ObserveStore(func() metrics.StoreStats { return metrics.StoreStats(p.store.Stats()) })
	p.tokens, p.sharedTokens = access.NewTokens(0), o.Tokens
	p.replay = replay.New(replay.Parts{Store: p.store, Tokens: p.tokens, Log: p.log, Metrics: p.metrics, Recent: p.recent, Life: p.life})
	p.ready = o.Ready
	p.bodies.Max = maxBodiesAtOnce
	p.metrics.ObserveUpstreams(p.upstreamStats)
	p.handler = p.chain()
	if err := p.Swap(s); err != nil {
		return nil, err
	}
	return p, nil
}

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.handler.ServeHTTP(w, r) }

// Swap replaces the settings. Requests in flight keep the settings with which they began,
// and upstream groups that did not change keep their connections. On an error, nothing
// changes.
func (p *Proxy) Swap(s Settings) error {
	p.swap.Lock()
	defer p.swap.Unlock()
	old := p.snap.Load()
	next, err := routing.Compile(s, old, p.process, up.Options{Logger: p.log, Metrics: p.metrics, Dialer: p.dialer, Probe: p.probing})
	if err != nil {
		return fmt.Errorf("compiling the settings: %w", err)
	}
	next.PresetSeries(p.metrics)
	p.noteMode(next.Observing, old != nil && old.Observing)
	next.Start(p.life, &p.running, old)
	p.snap.Store(next)
	if old != nil {
		old.Retire(next)
	}
	return nil
}

// noteMode sets the metric of the mode, and logs that observing began. before is the
// previous mode.
func (p *Proxy) noteMode(observing, before bool) {
	value := 0.0
	if observing {
		value = 1
	}
	p.metrics.Observing.Set(value)
	if observing && !before {
		p.log.Info("mode: observe; nothing on the wire is changed: what would be added, dropped or refused is only counted")
	}
}
