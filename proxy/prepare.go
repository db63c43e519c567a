package proxy

import "net/http"

// prepare makes out's target and header what a server is to get of in. The
// hop-by-hop headers are not in out any more.
func prepare(ex *Exchange, out, in *http.Request) {
	ex.setTarget(out.URL, in.Host)
	ex.setForwarded(out, in)
	h := out.Header
	if !ex.snap.Observing {
		delete(h, authKey) // it is an answer's
	}
	if ex.group.issuer != nil { // the token is the shim's own, and the server knows neither
		delete(h, tokenKey)
		delete(h, appIDKey)
	}
	if in.GetBody != nil { // the body is here already
		keepJudged(ex, h, in.Header)
	}
	if ex.underOpenAPI() && (in.GetBody == nil || !ex.snap.Observing) {
		// With either, a proxy on the way that is written in Go takes a request without
		// a body for repeatable, and sends it again by itself on a stale connection.
		delete(h, "Idempotency-Key")
		delete(h, "X-Idempotency-Key")
	}
}

// keepJudged gives the server what the gate and the record went by, whatever a
// Connection header names.
func keepJudged(ex *Exchange, h, in http.Header) {
	if !ex.snap.Observing {
		delete(h, "Expect")
	}
	if ex.group.issuer != nil {
		return
	}
	for _, name := range [...]string{tokenKey, appIDKey, "Content-Type"} {
		if v, ok := in[name]; ok {
			h[name] = v
		}
	}
}
