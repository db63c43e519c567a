package proxy

import (
	"net/http"

	"powerjob-shim/proxy/listen"
)

// challenge answers the certificate authority's questions.
func (p *Proxy) challenge(next handler) handler {
	return func(w http.ResponseWriter, r *http.Request, ex *exchange) {
		if d := listen.DoorOf(r); d == nil || d.Challenge == nil || !d.Challenge(w, r) {
			next(w, r, ex)
		}
	}
}
