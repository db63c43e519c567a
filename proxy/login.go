package proxy

import (
	"cmp"
	"net/http"
	"time"

	"powerjob-shim/metrics"
	up "powerjob-shim/proxy/upstream"
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
		l := loginCall{Proxy: p, r: r, ex: ex, isAuthApp: ex.call.Name == "authApp", presented: ex.token(r), window: ex.snap.Rules.Window()}
		l.note()
		rec := recorder{w: w, limit: maxLoginAnswer, header: w.Header(), asItCame: ex.snap.Observing}
		if whole := rec.collect(next, r, ex); !whole {
			rec.passLoginBrokenOff(ex)
			return
		}
		if rec.streaming {
			return
		}
		given := l.answered(&rec)
		gone := ex.caller.Gone()
		if err := rec.write(); (gone || err != nil) && given != (access.Token{}) && l.window > 0 {
			// The client has not got it and logs in once more: two logins, and one
			// re-send at most.
			p.dedupState.store.Undelivered(ex.group.name, given)
		}
	}
}

// passLoginBrokenOff ends a login whose answer did not come in full.
func (rec *recorder) passLoginBrokenOff(ex *exchange) {
	if rec.streaming {
		panic(http.ErrAbortHandler)
	}
	if rec.breaksOff(ex) {
		_ = rec.write() // as much as came
		panic(http.ErrAbortHandler)
	}
	// Not one byte of it was passed on: the caller gets a whole answer.
	clear(rec.header)
	ex.fail(rec.w, http.StatusBadGateway, "the PowerJob server broke its answer to a login off; call again")
}

// loginCall is a login on its way.
type loginCall struct {
	*Proxy
	r         *http.Request
	ex        *exchange
	isAuthApp bool          // else it is assert, which gives out no token
	presented access.Token  // zero: none
	window    time.Duration // 0: no dedup rule wants to know of logins
	requested time.Time     // counts only for a login without a token
}

// note tells the dedup store of the login before it is sent.
func (l *loginCall) note() {
	if !l.isAuthApp || l.window <= 0 {
		return
	}
	if l.presented != (access.Token{}) {
		l.dedupState.store.Presented(l.ex.group.name, l.presented)
	} else {
		l.requested = l.dedupState.store.Now(l.ex.group.name)
	}
}

// answered notes what a whole answer gives out, and returns its token; zero:
// none.
func (l *loginCall) answered(rec *recorder) (given access.Token) {
	answer, ok := plainBody(rec.header, rec.body, maxLoginAnswer)
	if !ok || rec.status != http.StatusOK {
		answer = nil
	}
	ex := l.ex
	name, _ := ex.call.LoginName(l.r.Header["Content-Type"], l.r.URL.RawQuery, ex.body) // "": nobody's
	if l.isAuthApp {
		return l.issued(answer, name)
	}
	if id, ok := openapi.AssertedApp(answer); ok {
		l.tokens.Name(ex.group.name, id, name)
	}
	return given
}

// issued notes the token in an authApp answer and returns it; one without is a
// refusal.
func (l *loginCall) issued(answer []byte, name string) (token access.Token) {
	ex := l.ex
	result, agent := metrics.LoginRefused, dedup.AgentOf(l.r.UserAgent())
	if got, ok := openapi.IssuedBy(answer); ok {
		result = metrics.LoginOK
		token = access.Fingerprint(got.Token)
		if ex.group.issuer == nil { // the bridge's tokens speak for themselves
			now := time.Now()
			l.tokens.Add(token, access.Grant{Group: ex.group.name, App: got.AppID, Name: name, Since: now})
			if policy := &ex.snap.Access; l.sharedTokens != nil && policy.Mode != access.Off {
				known := access.KnownToken{App: got.AppID, Name: name, Since: now}
				l.sharedTokens.KeepToken(ex.group.name, token, known, cmp.Or(policy.TokenTTL, access.DefaultTTL))
			}
		}
		l.tokens.Name(ex.group.name, got.AppID, name)
		if l.window > 0 {
			l.dedupState.store.Issued(dedup.Issue{
				Group: ex.group.name, App: got.AppID, Token: token, Addr: ex.clientAddr(), Agent: agent,
				Requested: l.requested, Bare: l.presented == access.Token{}, Window: l.window,
			})
		}
	}
	// A login of the Java client without a token is a constructor's first or a
	// refresh: which of them shows when its token is used, so that it is counted then.
	if ex.outcome == up.Answered && (l.presented != access.Token{} || result == metrics.LoginRefused || agent.Foreign()) {
		l.metrics.Logins.WithLabelValues(metrics.LoginConstructor, result).Inc()
	}
	return token
}
