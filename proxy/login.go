package proxy

import (
	"cmp"
	"net/http"
	"time"

	"powerjob-shim/metrics"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/dedup"
	"powerjob-shim/rules/openapi"
)

// maxLoginAnswer bounds what is read of a login's answer; PowerJob's have some
// 300 bytes.
const maxLoginAnswer = 64 << 10

// login sees every login's answer, whether the upstream or the bridge gave it,
// and notes before the client can use it which token was given out: for
// dedup's evidence, and for the gate, so that one that is switched on by a
// reload knows the tokens in use.
func (p *Proxy) login(next handler) handler {
	return func(w http.ResponseWriter, r *http.Request, ex *exchange) {
		if ex.call == nil || ex.call.Kind != openapi.Login {
			next(w, r, ex)
			return
		}
		isAuthApp := ex.call.Name == "authApp" // assert gives out no token
		presented, window := ex.token(r), ex.snap.Rules.Window()
		var requested time.Time // counts only for a login without a token
		if isAuthApp && window > 0 {
			if presented != (access.Token{}) {
				p.dedupState.store.Presented(ex.group.name, presented)
			} else {
				requested = p.dedupState.store.Now(ex.group.name)
			}
		}
		rec := recorder{w: w, limit: maxLoginAnswer, header: w.Header(), asItCame: ex.snap.Observing}
		if whole := rec.collect(next, r, ex); !whole {
			if rec.streaming {
				panic(http.ErrAbortHandler)
			}
			if rec.breaksOff(ex) {
				_ = rec.write() // as much as came
				panic(http.ErrAbortHandler)
			}
			// Not one byte of it was passed on: the caller gets a whole answer.
			clear(rec.header)
			ex.fail(w, http.StatusBadGateway, "the PowerJob server broke its answer to a login off; call again")
			return
		}
		if rec.streaming {
			return
		}
		answer, ok := plainBody(rec.header, rec.body, maxLoginAnswer)
		if !ok || rec.status != http.StatusOK {
			answer = nil
		}
		name, _ := ex.call.LoginName(r.Header["Content-Type"], r.URL.RawQuery, ex.body) // "": nobody's
		var given access.Token
		if isAuthApp {
			given = p.issued(r, ex, answer, name, presented, requested)
		} else if id, ok := openapi.AssertedApp(answer); ok {
			p.tokens.Name(ex.group.name, id, name)
		}
		gone := ex.caller.Gone()
		if err := rec.write(); (gone || err != nil) && given != (access.Token{}) && window > 0 {
			// The client has not got it and logs in once more: two logins, and one
			// re-send at most.
			p.dedupState.store.Undelivered(ex.group.name, given)
		}
	}
}

// issued notes the token in an authApp answer and returns it; one without is a
// refusal.
func (p *Proxy) issued(r *http.Request, ex *exchange, answer []byte, name string, presented access.Token, requested time.Time) (token access.Token) {
	result, agent := "refused", dedup.AgentOf(r.UserAgent())
	if got, ok := openapi.IssuedBy(answer); ok {
		result = "ok"
		token = access.Fingerprint(got.Token)
		if ex.group.issuer == nil { // the bridge's tokens speak for themselves
			now := time.Now()
			p.tokens.Add(token, access.Grant{Group: ex.group.name, App: got.AppID, Name: name, Since: now})
			if policy := &ex.snap.Access; p.sharedTokens != nil && policy.Mode != access.Off {
				known := access.KnownToken{App: got.AppID, Name: name, Since: now}
				p.sharedTokens.KeepToken(ex.group.name, token, known, cmp.Or(policy.TokenTTL, access.DefaultTTL))
			}
		}
		p.tokens.Name(ex.group.name, got.AppID, name)
		if window := ex.snap.Rules.Window(); window > 0 {
			p.dedupState.store.Issued(dedup.Issue{
				Group: ex.group.name, App: got.AppID, Token: token, Addr: ex.clientAddr(), Agent: agent,
				Requested: requested, Bare: presented == access.Token{}, Window: window,
			})
		}
	}
	// A login of the Java client without a token is a constructor's first or a
	// refresh: which of them shows when its token is used, so that it is counted then.
	if ex.outcome == outcomeAnswered && (presented != access.Token{} || result == "refused" || agent.Foreign()) {
		p.metrics.Logins.WithLabelValues(metrics.LoginConstructor, result).Inc()
	}
	return token
}
