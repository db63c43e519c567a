package link

import (
	"net/http"

	"powerjob-shim/proxy/exchange"
)

// Limit refuses requests whose body is larger than max_body. A body without a
// Content-Length is cut off at the limit, so that the server never sees a whole
// request.
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
