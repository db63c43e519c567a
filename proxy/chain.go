package proxy

import "net/http"

// chain composes the handlers, from the outside in:
//
//	observe  first, so that whatever happens further in, a refusal or a panic
//	         included, has a request id, one log line and its metrics
//	framing  before anything trusts where this request ends
//	route    before all that depends on the call, the group and the rules
//	dedup    last before the server, so that nothing is remembered of a call
//	         that was refused, and every answer passes it once
//	forward  sends it on
//
// A gate (who may call) and a login bridge belong between route and dedup: a
// refused call must leave no record, and a bridged login is no server's answer.
//
// The header rules are no link of the chain: they act when an answer's header
// is written to the caller (answer.go), whichever link wrote it.
func (p *Proxy) chain() http.Handler {
	var h http.Handler = http.HandlerFunc(p.forward)
	h = p.dedup(h)
	h = p.route(h)
	h = p.framing(h)
	return p.observe(h)
}
