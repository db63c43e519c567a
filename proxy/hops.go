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

// newHop returns what a group of this process adds to loopHeader: random for the
// process, the same after a reload.
func newHop(process, group string) []string {
	sum := sha256.Sum256([]byte(process + "\x00" + group))
	return []string{loopName + "; " + loopParam + hex.EncodeToString(sum[:8])}
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
