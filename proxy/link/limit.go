package link

import (
	"net/http"

	"powerjob-shim/proxy/exchange"
)

// Limit refuses requests whose body is larger than max_body. One that does
// not say how large it is breaks off there; the server sees no whole request.
func Limit(next exchange.Handler) exchange.Handler {
	return func(w http.ResponseWriter, r *http.Request, ex *exchange.Exchange) {
		bound := ex.Snap.MaxBody
		switch {
		case bound <= 0:
		case r.ContentLength > bound:
			ex.LastOnConn = true // its body may still be on the way
			ex.FailBody(w, &http.MaxBytesError{Limit: bound})
			return
		case r.ContentLength < 0:
			ex.In.ReadCloser = http.MaxBytesReader(w, ex.In.ReadCloser, bound)
		}
		next(w, r, ex)
	}
}
