package link

import (
	"cmp"
	"net/http"
	"time"

	"powerjob-shim/internal/store"
	"powerjob-shim/metrics"
	"powerjob-shim/proxy/exchange"
	"powerjob-shim/proxy/exchange/recorder"
	up "powerjob-shim/proxy/upstream"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/dedup"
	"powerjob-shim/rules/openapi"
)

// maxLoginAnswer bounds what is read of a login's answer; PowerJob's have some
// 300 bytes.
const maxLoginAnswer = 64 << 10

// Login is the link that notes which tokens logins give out.
type Login struct {
	Metrics *metrics.Metrics
	Store   store.Store
	Tokens  *access.Tokens
	// Shared are the tokens of other replicas; nil without a shared store.
	Shared access.SharedTokens
}

// Link sees every login's answer, whether the upstream or the bridge gave it,
// and notes before the client can use it which token was given out: for
// dedup's evidence, and for the gate, so that one that is switched on by a
// reload knows the tokens in use.
func (l Login) Link(next exchange.Handler) exchange.Handler {
	return func(w http.ResponseWriter, r *http.Request, ex *exchange.Exchange) {
		if ex.Call == nil || ex.Call.Kind != openapi.Login {
			next(w, r, ex)
			return
		}
		l := loginCall{Login: l, r: r, ex: ex, isAuthApp: ex.Call.Name == "authApp", presented: ex.Token(r), window: ex.Snap.Rules.Window()}
		l.note()
		rec := recorder.New(w, ex, maxLoginAnswer, nil)
		if whole := rec.Collect(next, r); !whole {
			passBrokenOff(w, &rec, ex)
			return
		}
		if rec.Streaming() {
			return
		}
		given := l.answered(&rec)
		hungUp := ex.Caller.Gone()
		if err := rec.Pass(); (hungUp || err != nil) && given != (access.Token{}) && l.window > 0 {
			// The client has not got it and logs in once more: two logins, and one
			// re-send at most.
			l.Store.Undelivered(ex.Group.Name, given)
		}
	}
}

// passBrokenOff ends a login whose answer did not come in full.
func passBrokenOff(w http.ResponseWriter, rec *recorder.Recorder, ex *exchange.Exchange) {
	if rec.Streaming() {
		panic(http.ErrAbortHandler)
	}
	if rec.BreaksOff() {
		_ = rec.Pass() // as much as came
		panic(http.ErrAbortHandler)
	}
	// Not one byte of it was passed on: the caller gets a whole answer.
	rec.Reset()
	ex.Fail(w, http.StatusBadGateway, "the PowerJob server broke its answer to a login off; call again")
}

// loginCall is a login on its way.
type loginCall struct {
	Login
	r         *http.Request
	ex        *exchange.Exchange
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
		l.Store.Presented(l.ex.Group.Name, l.presented)
	} else {
		l.requested = l.Store.Now(l.ex.Group.Name)
	}
}

// answered notes what a whole answer gives out, and returns its token; zero:
// none.
func (l *loginCall) answered(rec *recorder.Recorder) (given access.Token) {
	answer, ok := rec.PlainBody(maxLoginAnswer)
	if !ok || rec.Status() != http.StatusOK {
		answer = nil
	}
	ex := l.ex
	name, _ := ex.Call.LoginName(l.r.Header["Content-Type"], l.r.URL.RawQuery, ex.Body) // "": nobody's
	if l.isAuthApp {
		return l.issued(answer, name)
	}
	if id, ok := openapi.AssertedApp(answer); ok {
		l.Tokens.Name(ex.Group.Name, id, name)
	}
	return given
}

// issued notes the token in an authApp answer and returns it; one without is a
// refusal.
func (l *loginCall) issued(answer []byte, name string) (token access.Token) {
	ex := l.ex
	result, agent := metrics.LoginRefused, openapi.AgentOf(l.r.UserAgent())
	if got, ok := openapi.IssuedBy(answer); ok {
		result = metrics.LoginOK
		token = access.Fingerprint(got.Token)
		if ex.Group.Issuer == nil { // the bridge's tokens speak for themselves
			now := time.Now()
			l.Tokens.Add(token, access.Grant{Group: ex.Group.Name, App: got.AppID, Name: name, Since: now})
			if policy := &ex.Snap.Access; l.Shared != nil && policy.Mode != access.Off {
				known := access.KnownToken{App: got.AppID, Name: name, Since: now}
				l.Shared.KeepToken(ex.Group.Name, token, known, cmp.Or(policy.TokenTTL, access.DefaultTTL))
			}
		}
		l.Tokens.Name(ex.Group.Name, got.AppID, name)
		if l.window > 0 {
			l.Store.Issued(dedup.Issue{
				Group: ex.Group.Name, App: got.AppID, Token: token, Addr: ex.ClientAddr(), Agent: agent,
				Requested: l.requested, Bare: l.presented == access.Token{}, Window: l.window,
			})
		}
	}
	// A login of the Java client without a token is a constructor's first or a
	// refresh: which of them shows when its token is used, so that it is counted then.
	if ex.Reached == up.Answered && (l.presented != access.Token{} || result == metrics.LoginRefused || agent.Foreign()) {
		l.Metrics.Logins.WithLabelValues(metrics.LoginConstructor, result).Inc()
	}
	return token
}
