package forward

import (
	"net/http"

	"powerjob-shim/proxy/exchange"
	"powerjob-shim/rules/openapi"
)

// prepare sets the target and the header that a server is to get for the request in.
// The hop-by-hop headers have been removed from out.
func prepare(ex *exchange.Exchange, out, in *http.Request) {
	ex.SetTarget(out.URL, in.Host)
	ex.SetForwarded(out, in)
	h := out.Header
	if !ex.Snap.Observing {
		delete(h, openapi.AuthKey) // it belongs in answers only
	}
	if ex.Group.Issuer != nil { // the login bridge issued the token, and the server knows neither header
		delete(h, openapi.TokenKey)
		delete(h, openapi.AppIDKey)
	}
	if in.GetBody != nil { // the body is here already
		keepJudged(ex, h, in.Header)
	}
	if ex.UnderOpenAPI() && (in.GetBody == nil || !ex.Snap.Observing) {
		// With either, a proxy on the way that is written in Go takes a request without
		// a body for repeatable, and sends it again by itself on a stale connection.
		delete(h, "Idempotency-Key")
		delete(h, "X-Idempotency-Key")
	}
}

// keepJudged gives the server the headers by which the gate and the store judged the
// call, even if a Connection header names them.
func keepJudged(ex *exchange.Exchange, h, in http.Header) {
	if !ex.Snap.Observing {
		delete(h, "Expect")
	}
	if ex.Group.Issuer != nil {
		return
	}
	for _, name := range [...]string{openapi.TokenKey, openapi.AppIDKey, "Content-Type"} {
		if v, ok := in[name]; ok {
			h[name] = v
		}
	}
}
