package link

import (
	"net/http"

	"powerjob-shim/proxy/exchange"
	"powerjob-shim/proxy/listen"
)

// Challenge answers the certificate authority's questions.
func Challenge(next exchange.Handler) exchange.Handler {
	return func(w http.ResponseWriter, r *http.Request, ex *exchange.Exchange) {
		if d := listen.DoorOf(r); d == nil || d.Challenge == nil || !d.Challenge(w, r) {
			next(w, r, ex)
		}
	}
}
