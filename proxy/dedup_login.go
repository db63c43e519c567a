package proxy

import (
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"powerjob-shim/rules"
	"powerjob-shim/rules/dedup"
	"powerjob-shim/rules/openapi"
)

// maxLoginAnswer bounds what is read of an authApp answer; PowerJob's have
// some 300 bytes.
const maxLoginAnswer = 64 << 10

// login forwards a login and tells the store which token was given out before
// the client can use it.
func (p *Proxy) login(w http.ResponseWriter, r *http.Request, next http.Handler, window time.Duration) {
	ex, store := exchangeOf(r), p.dedupState.store
	if ex.call.Name != "authApp" { // assert gives out no token
		next.ServeHTTP(w, r)
		return
	}
	presented := r.Header.Get(openapi.TokenHeader)
	if presented != "" {
		store.Presented(dedup.Fingerprint(presented))
	}
	rec := recorder{w: w, limit: maxLoginAnswer, header: http.Header{}, overflow: func() {}}
	if whole := rec.collect(next, r); !whole {
		if rec.streaming || rec.status != 0 {
			panic(http.ErrAbortHandler)
		}
		return
	}
	if rec.streaming {
		return
	}
	result := "refused"
	if issued, ok := openapi.IssuedBy(rec.body); ok && rec.status == http.StatusOK {
		result = "ok"
		store.Issued(dedup.Issue{
			Group: ex.group.name, App: issued.AppID, Token: dedup.Fingerprint(issued.Token), Addr: ex.clientAddr(),
			Requested: ex.received, Bare: presented == "", Window: window,
		})
	}
	if ex.outcome == outcomeAnswered {
		p.metrics.Logins.WithLabelValues(loginKind(presented), result).Inc()
	}
	_ = rec.write(ex) // a caller that is gone needs no token
}

// loginKind tells a constructor's login, which presents the token that it has
// just got, from one without a token: a refresh, or a constructor's first.
func loginKind(presented string) string {
	if presented != "" {
		return "constructor"
	}
	return "refresh"
}

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

const (
	warnEvery  = time.Hour
	maxWarned  = 10_000 // client addresses; beyond it, one warning for all the others
	warnedNone = ""
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

// decisionCounts counts decisions for /status.
type decisionCounts struct{ n sync.Map }

func (c *decisionCounts) counter(d rules.Decision) *atomic.Int64 {
	v, ok := c.n.Load(d)
	if !ok {
		v, _ = c.n.LoadOrStore(d, new(atomic.Int64))
	}
	return v.(*atomic.Int64)
}
