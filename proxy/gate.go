package proxy

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"powerjob-shim/rules"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/dedup"
	"powerjob-shim/rules/openapi"
)

// block refuses the paths that nobody may call, before anything of them is read.
func (p *Proxy) block(next handler) handler {
	return func(w http.ResponseWriter, r *http.Request, ex *exchange) {
		context := strings.TrimSuffix(ex.group.settings.Prefix(), strings.TrimSuffix(openapi.Prefix, "/"))
		if ex.snap.Access.Blocks(ex.path, context, ex.ambiguous) {
			p.refuse(w, r, ex, access.Blocked)
			return
		}
		next(w, r, ex)
	}
}

// gate lets a call under /openApi/ pass if its caller may make it: the check
// that the server behind does not do. Everything else it passes unread.
func (p *Proxy) gate(next handler) handler {
	return func(w http.ResponseWriter, r *http.Request, ex *exchange) {
		mode := ex.snap.Access.Mode
		if mode == access.Off {
			next(w, r, ex)
			return
		}
		c, reason, gated := p.judge(r, ex)
		if mode == access.Enforce && ex.snap.Observing && gated {
			reason, mode = ex.observed(c, reason)
		}
		switch {
		case !gated:
		case reason == access.Passed:
			p.metrics.Gate.WithLabelValues(string(access.VerdictPassed), "").Inc()
		case mode == access.Enforce:
			p.refuse(w, r, ex, reason)
			return
		default:
			p.noteGate(ex, access.VerdictObserved, reason)
		}
		next(w, r, ex)
	}
}

// judge asks the policy. gated is false where the gate does not apply.
func (p *Proxy) judge(r *http.Request, ex *exchange) (c access.Caller, reason access.Reason, gated bool) {
	policy := &ex.snap.Access
	if preflight(r) {
		return c, "", false
	}
	if !ex.underOpenAPI() {
		// Should the servers have a context path that openapi_prefix does not
		// tell, calls would pass by the gate.
		if raw, _, _ := strings.Cut(ex.target, "?"); openapi.MayBeOpenAPI(raw) {
			return c, access.UnknownPath, true
		}
		return c, "", false
	}
	c = p.callerOf(r, ex)
	if ex.call != nil && ex.call.Kind == openapi.Login {
		name, err := ex.call.LoginName(r.Header["Content-Type"], r.URL.RawQuery, ex.body)
		if ex.unheld != "" && len(policy.Apps) == 0 {
			err = nil // nobody need know
		}
		c.AppsErr = err
		return c, ex.unreadable(policy.JudgeLogin(c, name, err)), true
	}
	if c.Apps, c.AppsErr = ex.call.AppsOf(r.Header["Content-Type"], r.URL.RawQuery, ex.body); ex.unheld != "" {
		c.AppsErr = openapi.ErrUnreadable
	}
	return c, ex.unreadable(policy.Judge(c)), true
}

// observed is what becomes of a judgement where the shim only observes: allow
// stays in force, all else is counted.
func (ex *exchange) observed(c access.Caller, reason access.Reason) (access.Reason, access.Mode) {
	switch {
	case reason == access.Passed, reason == access.UnknownPath:
		return reason, access.Observe
	case reason == access.Address, reason == access.AppNotAllowed:
		return reason, access.Enforce
	}
	if claimed := ex.snap.Access.JudgeClaims(c); claimed != access.Passed {
		return claimed, access.Enforce
	}
	return reason, access.Observe
}

// unreadable says more exactly why a call could not be read.
func (ex *exchange) unreadable(reason access.Reason) access.Reason {
	switch {
	case reason != access.Unreadable:
	case ex.unheld == rules.BypassBodyTooLarge:
		return access.TooLarge
	case ex.unheld != "":
		return access.NotHeld
	}
	return reason
}

// allow refuses calls before their bodies are read that cannot pass whatever
// stands in them: callers that may not call must not use up the memory for bodies.
// A refusal that a client answers with a login is the gate's: the store must
// learn which call it was.
func (p *Proxy) allow(next handler) handler {
	return func(w http.ResponseWriter, r *http.Request, ex *exchange) {
		policy := &ex.snap.Access
		if policy.Mode != access.Enforce || !ex.underOpenAPI() || preflight(r) {
			next(w, r, ex)
			return
		}
		c := p.callerOf(r, ex)
		reason := policy.JudgeUnread(c)
		if reason == access.LegacyClient && ex.snap.Observing {
			reason = access.Passed // only allow is in force
		}
		if reason != access.Passed {
			p.noteGate(ex, access.VerdictRefused, reason)
			ex.refuse(w, reason)
			return
		}
		next(w, r, ex)
	}
}

// callerOf is what shows of a call's caller before its body is read.
func (p *Proxy) callerOf(r *http.Request, ex *exchange) access.Caller {
	c := access.Caller{
		Now: ex.received, Addr: ex.clientAddr(), Call: ex.call,
		Tokens: r.Header[tokenKey], AppIDs: r.Header[appIDKey],
		Names: p.tokens, Group: ex.group.name,
	}
	if ex.call == nil || ex.call.Kind != openapi.Login {
		c.Grant = p.grantOf(r, ex)
	}
	return c
}

// preflight reports whether a browser asks if a page of another origin may make a
// call. It has no token, and servers execute nothing for it (CORS).
func preflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && len(r.Header["Access-Control-Request-Method"]) > 0
}

// gaveOut reports whether a token is known here: from a login that passed, or,
// under the gate, from another replica's.
func (p *Proxy) gaveOut(ex *exchange, token access.Token) bool {
	return token != (access.Token{}) && p.tokens.Find(token, ex.group.name, ex.group.issuer) != nil
}

// grantOf returns what the request's token stands for; nil: nothing known.
func (p *Proxy) grantOf(r *http.Request, ex *exchange) *access.Grant {
	if !ex.granted {
		ex.grant, ex.granted = p.findGrant(r, ex), true
	}
	return ex.grant
}

func (p *Proxy) findGrant(r *http.Request, ex *exchange) *access.Grant {
	token := ex.token(r)
	if token == (access.Token{}) {
		return nil
	}
	issuer := ex.group.issuer
	grant := p.tokens.Find(token, ex.group.name, issuer)
	if grant == nil && issuer != nil {
		if grant = issuer.Verify(first(r.Header[tokenKey])); grant != nil {
			p.tokens.Add(token, *grant)
		}
	}
	if grant == nil && issuer == nil && p.sharedTokens != nil { // of a login on another replica
		if t, ok := p.sharedTokens.FindToken(ex.group.name, token); ok {
			grant = &access.Grant{Group: ex.group.name, App: t.App, Name: t.Name, Since: t.Since}
			p.tokens.Add(token, *grant)
			p.tokens.Name(ex.group.name, t.App, t.Name)
		}
	}
	return grant
}

// refuse answers a call that must not pass: as a 5.1.1 server does where it
// would refuse too, else with an error of the shim's own.
func (p *Proxy) refuse(w http.ResponseWriter, r *http.Request, ex *exchange, reason access.Reason) {
	p.noteGate(ex, access.VerdictRefused, reason)
	if _, ok := reason.Denial(); ok {
		p.markDenied(r, ex)
	}
	ex.refuse(w, reason)
}

// refuse writes the answer to a call that must not pass.
func (ex *exchange) refuse(w http.ResponseWriter, reason access.Reason) {
	if denial, ok := reason.Denial(); ok {
		ex.deny(w, denial)
		return
	}
	switch reason {
	case access.Unreadable:
		ex.fail(w, http.StatusBadRequest, "the gate cannot read which app this call is for; send plain JSON in UTF-8, or an encoded form")
	case access.TooLarge:
		ex.fail(w, http.StatusRequestEntityTooLarge, "the gate cannot read a call larger than dedup.max_body")
	case access.NotHeld:
		ex.fail(w, http.StatusServiceUnavailable, "the call's body came too slowly, or too many are being read; call again")
	case access.UnknownPath:
		ex.fail(w, http.StatusForbidden, "this path looks like PowerJob's OpenAPI, but is not under "+ex.group.settings.Prefix()+"; see openapi_prefix")
	case access.Blocked:
		ex.fail(w, http.StatusForbidden, "this path is blocked, see auth.block")
	default:
		ex.fail(w, http.StatusForbidden, "calls from this address or for this app are not allowed, see auth.allow")
	}
}

// deny writes a server's own refusal. The name of its header is in exact case:
// the client's login and re-send hang on it.
func (ex *exchange) deny(w http.ResponseWriter, d access.Denial) {
	body, _ := json.Marshal(d) // strings always marshal
	h := w.Header()
	h[openapi.AuthHeader] = []string{"false"}
	h["Content-Type"] = []string{serverContentType}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body) // a caller that is gone needs no answer
}

// serverContentType is that of a 5.x server's answers.
const serverContentType = "application/json;charset=utf-8"

// markDenied tells the dedup store that this call is answered with false. The
// client's login that follows is caused by it and pays for no other call's
// re-send, and the re-send of this one is a first execution.
func (p *Proxy) markDenied(r *http.Request, ex *exchange) {
	window := ex.snap.Rules.Window()
	if window == 0 || !ex.noted(r) || ex.token(r) == (access.Token{}) {
		return
	}
	call := ex.dedupCall(r, window)
	call.Issued = p.gaveOut(ex, call.Token)
	call.Dedup, call.Subjects = false, openapi.Subjects{} // it changes nothing
	p.noteEnded(ex, call, dedup.Outcome{Kind: dedup.Denied})
}

func (p *Proxy) noteGate(ex *exchange, d access.Verdict, reason access.Reason) {
	ex.gate, ex.gateReason = d, reason
	p.metrics.Gate.WithLabelValues(string(d), string(reason)).Inc()
}
