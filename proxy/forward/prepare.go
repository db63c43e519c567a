package forward

import (
	"net/http"

	"powerjob-shim/proxy/exchange"
	"powerjob-shim/rules/openapi"
)

// prepare sets out's target and header for the server. in is the request as it came. The
// hop-by-hop headers have been removed from out.
func prepare(ex *exchange.Exchange, out, in *http.Request) {
	ex.SetTarget(out.URL, in.Host)
	ex.SetForwarded(out, in)
	h := out.Header
	if !ex.Snap.Observing {
		delete(h, openapi.AuthKey) // only answers have it
	}
	if ex.Group.Issuer != nil { // the login bridge issued the token, and the server knows neither header
		delete(h, openapi.TokenKey)
		delete(h, openapi.AppIDKey)
	}
	if in.GetBody != nil { // the call is held
		keepJudged(ex, h, in.Header)
	}
	if ex.UnderOpenAPI() && (in.GetBody == nil || !ex.Snap.Observing) {
		// If a request without a body has either header, a Go proxy on the way takes it
		// for repeatable, and repeats it by itself if a connection was stale.
		delete(h, "Idempotency-Key")
		delete(h, "X-Idempotency-Key")
	}
}

// keepJudged makes sure that the server gets the headers on which the gate and the store
// decided, even if a Connection header names them.
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
