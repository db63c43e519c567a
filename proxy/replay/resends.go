package replay

import (
	"net/netip"
	"sync"
	"time"

	"go.uber.org/zap"

	"powerjob-shim/metrics"
	"powerjob-shim/proxy/exchange"
	"powerjob-shim/rules/dedup"
	"powerjob-shim/rules/openapi"
)

// noteResend counts a re-send. A client that makes several within a minute certainly
// does not see the header: that is counted too, and warned of. A single one may be
// two programs that happen to do the same.
func (p *passage) noteResend(reason dedup.Reason) {
	if reason != dedup.Resend && reason != dedup.Overtaken {
		return
	}
	ex := p.ex
	p.Metrics.Resends.WithLabelValues(ex.CallName()).Inc()
	if ex.Snap.Observing || !p.repeaters.several(ex.Client, ex.Received) {
		return // while the shim observes, it is the shim that leaves the header out
	}
	p.Metrics.HeaderLost.WithLabelValues(ex.CallName()).Inc()
	p.Recent.Resent(ex.Received, ex.Client, ex.CallName())
	if p.warned.due(ex.Client, ex.Received) {
		p.Log.Warn("a client repeats its calls: something between this shim and that client drops "+openapi.AuthHeader+
			" or changes its case (HTTP/2, Envoy, HAProxy and Go proxies do); see 'powerjob-shim doctor URL', run where the client is",
			zap.Stringer(exchange.FieldClient, ex.Client), zap.String(exchange.FieldCall, ex.CallName()), zap.String(exchange.FieldRequestID, ex.ID))
	}
}

// noteRefresh counts a refresh: a login shows as one when its token is first used.
func (p *passage) noteRefresh(d dedup.Ruling) {
	if d.Refreshed && p.ex.Group.Issuer == nil { // else it is counted as bridged
		p.Metrics.Logins.WithLabelValues(metrics.LoginRefresh, metrics.LoginOK).Inc()
	}
}

const (
	severalResends = 3
	severalWithin  = time.Minute
	maxRepeaters   = 10_000 // client addresses; the others count as one
)

// repeaters knows the latest re-sends of each client address. The zero value is
// ready to use.
type repeaters struct {
	mu   sync.Mutex
	last map[netip.Addr][severalResends]time.Time // guarded by mu; the oldest first
}

// several notes a re-send of addr at now, and reports whether it is one of
// several that came within severalWithin.
func (r *repeaters) several(addr netip.Addr, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.last[addr]; !known && len(r.last) >= maxRepeaters {
		for a, times := range r.last {
			if now.Sub(times[severalResends-1]) >= severalWithin {
				delete(r.last, a)
			}
		}
		if len(r.last) >= maxRepeaters {
			addr = netip.Addr{}
		}
	}
	if r.last == nil {
		r.last = map[netip.Addr][severalResends]time.Time{}
	}
	times := r.last[addr]
	copy(times[:], times[1:])
	times[severalResends-1] = now
	r.last[addr] = times
	return now.Sub(times[0]) < severalWithin
}

const (
	warnEvery = time.Hour
	maxWarned = 10_000 // client addresses; beyond it, one warning for all the others
)

// warnings remembers who was warned of. The zero value is ready to use.
type warnings struct {
	mu   sync.Mutex
	last map[netip.Addr]time.Time // guarded by mu
}

// due reports whether a warning about addr may be logged at now, and notes it.
func (w *warnings) due(addr netip.Addr, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.last[addr]; !known && len(w.last) >= maxWarned {
		for a, t := range w.last {
			if now.Sub(t) >= warnEvery {
				delete(w.last, a)
			}
		}
		if len(w.last) >= maxWarned {
			addr = netip.Addr{}
		}
	}
	if t, ok := w.last[addr]; ok && now.Sub(t) < warnEvery {
		return false
	}
	if w.last == nil {
		w.last = map[netip.Addr]time.Time{}
	}
	w.last[addr] = now
	return true
}
