package proxy

import (
	"net/netip"
	"sync"
	"time"

	"go.uber.org/zap"

	"powerjob-shim/rules/dedup"
	"powerjob-shim/rules/openapi"
)

// noteResend counts a re-send and warns that the header is lost on the way.
func (p *Proxy) noteResend(ex *exchange, reason dedup.Reason) {
	if reason != dedup.Resend && reason != dedup.Overtaken {
		return
	}
	p.metrics.Resends.WithLabelValues(ex.callName()).Inc()
	if p.dedupState.warned.due(ex.client, ex.received) {
		p.log.Warn("a client repeats its calls: something between this shim and that client drops "+openapi.AuthHeader+
			" or changes its case (HTTP/2, Envoy, HAProxy and Go proxies do); see 'powerjob-shim doctor URL', run where the client is",
			zap.Stringer(fieldClient, ex.client), zap.String(fieldCall, ex.callName()), zap.String(fieldRequestID, ex.id))
	}
}

// noteRefresh counts a refresh: a login shows as one when its token is first used.
func (p *Proxy) noteRefresh(ex *exchange, d dedup.Decision) {
	if d.Refreshed && ex.group.issuer == nil { // else it is counted as bridged
		p.metrics.Logins.WithLabelValues("refresh", "ok").Inc()
	}
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
