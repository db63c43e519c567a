package gate

import (
	"net/http"
	"strings"

	"powerjob-shim/metrics"
	"powerjob-shim/proxy/exchange"
	"powerjob-shim/rules"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/openapi"
)

// Gate is three links that decide who may call: Block, Allow and Link.
type Gate struct {
	Metrics *metrics.Metrics
	Tokens  *access.Tokens
	// Shared are the tokens of other replicas; nil without a shared store.
	Shared access.SharedTokens
	// Denied is told of each call that is refused as a server would refuse it.
	Denied func(r *http.Request, ex *exchange.Exchange)
}

// Block refuses the paths that nobody may call, before anything of them is read.
func (g Gate) Block(next exchange.Handler) exchange.Handler {
	return func(w http.ResponseWriter, r *http.Request, ex *exchange.Exchange) {
		context := strings.TrimSuffix(ex.Group.Settings.Prefix(), strings.TrimSuffix(openapi.Prefix, "/"))
		if ex.Snap.Access.Blocks(ex.Path, context, ex.Ambiguous) {
			g.refuse(w, r, ex, access.Blocked)
			return
		}
		next(w, r, ex)
	}
}

// Link lets a call under /openApi/ pass if its caller may make it: the check
// that the server behind does not do. Everything else it passes unread.
func (g Gate) Link(next exchange.Handler) exchange.Handler {
	return func(w http.ResponseWriter, r *http.Request, ex *exchange.Exchange) {
		mode := ex.Snap.Access.Mode
		if mode == access.Off {
			next(w, r, ex)
			return
		}
		c, reason, gated := g.judge(r, ex)
		if mode == access.Enforce && ex.Snap.Observing && gated {
			reason, mode = observed(ex, c, reason)
		}
		switch {
		case !gated:
		case reason == access.Passed:
			g.Metrics.Gate.WithLabelValues(string(access.VerdictPassed), "").Inc()
		case mode == access.Enforce:
			g.refuse(w, r, ex, reason)
			return
		default:
			g.noteGate(ex, access.VerdictObserved, reason)
		}
		next(w, r, ex)
	}
}

// judge asks the policy. gated is false where the gate does not apply.
func (g Gate) judge(r *http.Request, ex *exchange.Exchange) (c access.Caller, reason access.Reason, gated bool) {
	policy := &ex.Snap.Access
	if preflight(r) {
		return c, "", false
	}
	if !ex.UnderOpenAPI() {
		// Should the servers have a context path that openapi_prefix does not
		// tell, calls would pass by the gate.
		if raw, _, _ := strings.Cut(ex.Target, "?"); openapi.MayBeOpenAPI(raw) {
			return c, access.UnknownPath, true
		}
		return c, "", false
	}
	c = g.callerOf(r, ex)
	if ex.Call != nil && ex.Call.Kind == openapi.Login {
		name, err := ex.Call.LoginName(r.Header["Content-Type"], r.URL.RawQuery, ex.Body)
		if ex.Unheld != "" && len(policy.Apps) == 0 {
			err = nil // no policy asks for it
		}
		c.AppsErr = err
		return c, unreadable(ex, policy.JudgeLogin(c, name, err)), true
	}
	if c.Apps, c.AppsErr = ex.Call.AppsOf(r.Header["Content-Type"], r.URL.RawQuery, ex.Body); ex.Unheld != "" {
		c.AppsErr = openapi.ErrUnreadable
	}
	return c, unreadable(ex, policy.Judge(c)), true
}

// observed is what becomes of a judgement where the shim only observes: allow
// stays in force, all else is counted.
func observed(ex *exchange.Exchange, c access.Caller, reason access.Reason) (access.Reason, access.Mode) {
	switch {
	case reason == access.Passed, reason == access.UnknownPath:
		return reason, access.Observe
	case reason == access.Address, reason == access.AppNotAllowed:
		return reason, access.Enforce
	}
	if claimed := ex.Snap.Access.JudgeClaims(c); claimed != access.Passed {
		return claimed, access.Enforce
	}
	return reason, access.Observe
}

// unreadable says more exactly why a call could not be read.
func unreadable(ex *exchange.Exchange, reason access.Reason) access.Reason {
	switch {
	case reason != access.Unreadable:
	case ex.Unheld == rules.BypassBodyTooLarge:
		return access.TooLarge
	case ex.Unheld != "":
		return access.NotHeld
	}
	return reason
}

// Allow refuses, before its body is read, a call that cannot pass whatever the body
// says: callers that may not call must not use up the memory for bodies.
// A refusal that a client answers with a login is Link's: the store must
// learn which call it was.
func (g Gate) Allow(next exchange.Handler) exchange.Handler {
	return func(w http.ResponseWriter, r *http.Request, ex *exchange.Exchange) {
		policy := &ex.Snap.Access
		if policy.Mode != access.Enforce || !ex.UnderOpenAPI() || preflight(r) {
			next(w, r, ex)
			return
		}
		c := g.callerOf(r, ex)
		reason := policy.JudgeUnread(c)
		if reason == access.LegacyClient && ex.Snap.Observing {
			reason = access.Passed // only allow is in force
		}
		if reason != access.Passed {
			g.noteGate(ex, access.VerdictRefused, reason)
			refuse(ex, w, reason)
			return
		}
		next(w, r, ex)
	}
}

// preflight reports whether a browser asks if a page of another origin may make a
// call. It has no token, and servers execute nothing for it (CORS).
func preflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && len(r.Header["Access-Control-Request-Method"]) > 0
}
