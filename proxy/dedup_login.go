package proxy

import (
	"net/http"
	"time"

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
	// A login without a token is a constructor's first or a refresh: which of
	// them shows when its token is used, so that it is counted then.
	if ex.outcome == outcomeAnswered && (presented != "" || result == "refused") {
		p.metrics.Logins.WithLabelValues("constructor", result).Inc()
	}
	_ = rec.write() // a caller that is gone needs no token
}
