package proxy

import (
	"net/http"

	"powerjob-shim/proxy/exchange"
	"powerjob-shim/proxy/forward"
	"powerjob-shim/proxy/link"
	"powerjob-shim/proxy/link/gate"
)

// chain composes the handlers, from the outside in:
//
//	account    first, so that every request gets a request id, one log line and its
//	           metrics, even if it is refused or a handler panics
//	framing    before anything trusts where this request ends
//	challenge  before route, which may not know the name that is to be proved
//	route      before everything that depends on the call, the group or the rules
//	loops      right after route: a request that comes back must not use up anything
//	limit      before anything reads a body, and after route, so that a refusal
//	           is counted for its call
//	redirect   after route, which knows what is a call
//	block      before the body of a request to a path that nobody may call is read
//	allow      before the body of a caller who may not call anyway is read
//	hold       before everything that looks into a body: it is read once
//	gate       before everything that acts on a call: a refused call has no effect
//	login      before the links that answer logins, so that it sees every token that
//	           is given out
//	bridge     before replay, which remembers only answers of servers
//	replay     after everything that refuses calls or answers them itself, so that no
//	           refused call is remembered, and every answer passes it once
//	translate  after replay, which makes its key and record from the original call
//	forward    sends the request to a server
//
// The header rules are not a link of the chain: they act when an answer's header is
// written to the caller (exchange.AnswerWriter). They do not change the shim's own
// answers; those that need the header write it themselves. These are the gate's refusal,
// with false (link/gate/refusal.go), and the bridge's login, with true (link/bridge.go).
func (p *Proxy) chain() http.Handler {
	sender := forward.New(p.life, p.log, p.metrics)
	guard := gate.Gate{Metrics: p.metrics, Tokens: p.tokens, Shared: p.sharedTokens, Denied: p.replay.Denied}
	h := exchange.Handler(sender.Forward)
	h = sender.Translate(h)
	h = p.replay.Link(h)
	h = link.Bridge{Log: p.log, Metrics: p.metrics, Life: p.life}.Link(h)
	h = link.Login{Metrics: p.metrics, Store: p.store, Tokens: p.tokens, Shared: p.sharedTokens}.Link(h)
	h = guard.Link(h)
	h = link.Hold{Bodies: &p.bodies}.Link(h)
	h = guard.Allow(h)
	h = guard.Block(h)
	h = link.Redirect(h)
	h = link.Limit(h)
	h = link.Loops(h)
	h = link.Route{Log: p.log, Metrics: p.metrics}.Link(h)
	h = link.Challenge(h)
	h = link.Framing{Draining: &p.draining}.Link(h)
	return link.Account{Snapshot: p.snap.Load, Active: &p.active, Log: p.log, Metrics: p.metrics, Version: p.version}.Link(h)
}
