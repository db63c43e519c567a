package routing

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
)

// LoopHeader lists the proxies that a request has passed (RFC 8586). It serves two
// purposes: the shim refuses a request that comes back to the same group, and it
// recognizes a request that another shim has forwarded. Via would not do: nginx and
// others do not compress answers to requests that have it.
const (
	LoopHeader = "Cdn-Loop"
	loopName   = "powerjob-shim"
	loopParam  = "id="
)

// newHop returns what a group of this process adds to LoopHeader. It differs between
// processes, and is the same after a reload.
func newHop(process, group string) []string {
	sum := sha256.Sum256([]byte(process + "\x00" + group))
	return []string{loopName + "; " + loopParam + hex.EncodeToString(sum[:8])}
}

// hops calls yield with the parameters of each shim that a request has passed, until
// yield returns false.
func hops(h http.Header, yield func(params string) bool) {
	for _, line := range h[LoopHeader] {
		for hop := range strings.SplitSeq(line, ",") {
			name, params, _ := strings.Cut(hop, ";")
			if strings.EqualFold(strings.TrimSpace(name), loopName) && !yield(strings.TrimSpace(params)) {
				return
			}
		}
	}
}

// ThroughShim reports whether a request has passed another shim.
func ThroughShim(h http.Header) (through bool) {
	hops(h, func(string) bool {
		through = true
		return false
	})
	return through
}

// Passed reports whether a request has already passed this group in this process.
func (g *Group) Passed(h http.Header) (before bool) {
	_, own, _ := strings.Cut(g.Hop[0], "; ")
	hops(h, func(params string) bool {
		before = params == own
		return !before
	})
	return before
}
