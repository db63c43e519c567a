package proxy

import "net/http"

// Loops answers requests that have come back: a group's server leads to the
// shim itself, and each request would go round until nothing is left.
func Loops(next Handler) Handler {
	return func(w http.ResponseWriter, r *http.Request, ex *Exchange) {
		if len(r.Header[loopHeader]) > 0 && ex.group.passed(r.Header) {
			ex.fail(w, http.StatusLoopDetected, "this request has been here before: a server of upstream "+ex.group.name+
				" leads back to this shim; write the PowerJob server's own address under upstreams."+ex.group.name+".servers")
			return
		}
		ex.findOrigin(r)
		next(w, r, ex)
	}
}
