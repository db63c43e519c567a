package proxy

import "net/http"

// handler is a link of the chain, or what is left of the chain from there on.
type handler func(w http.ResponseWriter, r *http.Request, ex *exchange)

// chain composes the handlers, from the outside in:
//
//	account    first, so that whatever happens further in, a refusal or a panic
//	           included, has a request id, one log line and its metrics
//	framing    before anything trusts where this request ends
//	challenge  before route, which may not know the name that is to be proved
//	route      before all that depends on the call, the group and the rules
//	endLoops   right after route: a request that comes back must use nothing up
//	limitBody  before anything reads a body, and after route, so that a refusal
//	           is counted for its call
//	redirect   after route, which knows what is a call
//	block      before anything is read of a path that nobody may call
//	allow      before a body is read for somebody who may not call anyway
//	hold       before all that looks into a body: it is read once
//	gate       before all that acts on a call: who may not make it, did not
//	login      before the links that answer logins, so that it sees every token that
//	           is given out
//	bridge     before dedup: its answers are no server's
//	dedup      after all that refuses or answers by itself, so that nothing is
//	           remembered of a call that was refused, and every answer passes it once
//	translate  behind dedup, whose key and record are those of the call as it came
//	forward    sends it on
//
// The header rules are no link of the chain: they act when an answer's header
// is written to the caller (answer.go). The shim's own answers are not changed by
// them: whatever of those needs the header writes it itself.
func (p *Proxy) chain() http.Handler {
	h := handler(p.forward)
	h = p.translate(h)
	h = p.dedup(h)
	h = p.bridge(h)
	h = p.login(h)
	h = p.gate(h)
	h = p.hold(h)
	h = p.allow(h)
	h = p.block(h)
	h = p.redirect(h)
	h = p.limitBody(h)
	h = p.endLoops(h)
	h = p.route(h)
	h = p.challenge(h)
	h = p.framing(h)
	return p.account(h)
}
