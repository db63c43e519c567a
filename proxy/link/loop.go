package link

import (
	"net/http"

	"powerjob-shim/proxy/exchange"
	"powerjob-shim/proxy/routing"
)

// Loops answers requests that have come back, because a group's server leads to the
// shim itself: each would go round until no connection is left. For all others it notes
// how the caller is told if the server does not answer (FindOrigin), which needs the
// route.
func Loops(next exchange.Handler) exchange.Handler {
	return func(w http.ResponseWriter, r *http.Request, ex *exchange.Exchange) {
		if len(r.Header[routing.LoopHeader]) > 0 && ex.Group.Passed(r.Header) {
			ex.Fail(w, http.StatusLoopDetected, "this request has been here before: a server of upstream "+ex.Group.Name+
				" leads back to this shim; write the PowerJob server's own address under upstreams."+ex.Group.Name+".servers")
			return
		}
		ex.FindOrigin(r)
		next(w, r, ex)
	}
}
