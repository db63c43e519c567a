package proxy

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
)

// loopHeader lists what a request has passed (RFC 8586), for two purposes: a
// request that comes back to the same group ends here, and a shim knows a
// request that another shim sends on. Not Via: nginx and others stop compressing
// for it.
const (
	loopHeader = "Cdn-Loop"
	loopName   = "powerjob-shim"
	loopParam  = "id="
)

// hop returns what a group of this process adds to loopHeader: random for the
// process, the same after a reload.
func (p *Proxy) hop(group string) []string {
	sum := sha256.Sum256([]byte(p.process + "\x00" + group))
	return []string{loopName + "; " + loopParam + hex.EncodeToString(sum[:8])}
}

// setLoop adds the group to what a request has passed.
func (ex *exchange) setLoop(h, in http.Header) {
	prior := in[loopHeader]
	if len(prior) == 0 {
		h[loopHeader] = ex.group.hop
		return
	}
	h[loopHeader] = []string{strings.Join(prior, ", ") + ", " + ex.group.hop[0]}
}

// hops calls yield with the parameters of each shim that a request has passed.
func hops(h http.Header, yield func(params string) bool) {
	for _, line := range h[loopHeader] {
		for hop := range strings.SplitSeq(line, ",") {
			name, params, _ := strings.Cut(hop, ";")
			if strings.EqualFold(strings.TrimSpace(name), loopName) && !yield(strings.TrimSpace(params)) {
				return
			}
		}
	}
}

// throughShim reports whether a request has passed another shim.
func throughShim(h http.Header) (through bool) {
	hops(h, func(string) bool {
		through = true
		return false
	})
	return through
}

// passed reports whether a request has passed this group of this process.
func (g *group) passed(h http.Header) (before bool) {
	_, own, _ := strings.Cut(g.hop[0], "; ")
	hops(h, func(params string) bool {
		before = params == own
		return !before
	})
	return before
}

// endLoops answers requests that have come back: a group's server leads to the
// shim itself, and each request would go round until nothing is left.
func (p *Proxy) endLoops(next handler) handler {
	return func(w http.ResponseWriter, r *http.Request, ex *exchange) {
		if len(r.Header[loopHeader]) > 0 && ex.group.passed(r.Header) {
			ex.fail(w, http.StatusLoopDetected, "this request has been here before: a server of upstream "+ex.group.name+
				" leads back to this shim; write the PowerJob server's own address under upstreams."+ex.group.name+".servers")
			return
		}
		ex.findOrigin(r)
		next(w, r, ex)
	}
}
