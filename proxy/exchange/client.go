package exchange

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"powerjob-shim/proxy/head"
	"powerjob-shim/proxy/routing"
	"powerjob-shim/rules/access"
)

// The forwarding headers. The addresses in them are believed only when they
// come from a trusted proxy.
const (
	forwardedFor   = "X-Forwarded-For"
	forwardedHost  = "X-Forwarded-Host"
	forwardedProto = "X-Forwarded-Proto"
	forwarded      = "Forwarded" // RFC 7239
)

// findClient fills in who calls: the peer of the connection or, where that is
// a trusted proxy, the last address of X-Forwarded-For that is not a trusted proxy's.
func (ex *Exchange) findClient(r *http.Request) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return
	}
	ex.Client, ex.clientTrusted = peer.Addr().Unmap(), true
	trusted := ex.Snap.TrustedProxies
	if len(trusted) == 0 || !access.Within(trusted, ex.Client) {
		return
	}
	ex.PeerTrusted, ex.clientTrusted = true, false
	for _, line := range slices.Backward(r.Header[forwardedFor]) {
		for _, hop := range slices.Backward(strings.Split(line, ",")) {
			addr, ok := parseHop(hop)
			if !ok {
				return
			}
			ex.Client = addr
			if !access.Within(trusted, addr) {
				ex.clientTrusted = true
				return
			}
		}
	}
}

// parseHop reads one element of X-Forwarded-For: an address, which some
// proxies write with a port.
func parseHop(hop string) (netip.Addr, bool) {
	hop = strings.TrimSpace(hop)
	if addr, err := netip.ParseAddr(strings.Trim(hop, "[]")); err == nil {
		return addr.Unmap(), true
	}
	if ap, err := netip.ParseAddrPort(hop); err == nil {
		return ap.Addr().Unmap(), true
	}
	return netip.Addr{}, false
}

// Values of X-Forwarded-Proto. Requests share them: read them only.
var overHTTP, overHTTPS = []string{"http"}, []string{"https"}

// CameSecurely reports whether a trusted proxy says in X-Forwarded-Proto that
// the client came by TLS. Where there were several proxies, the first one named
// is the client's. Some write the scheme in capitals, or that of a WebSocket.
func CameSecurely(h http.Header) bool {
	proto, _, _ := strings.Cut(head.Get(h, forwardedProto), ",")
	proto = strings.TrimSpace(proto)
	return strings.EqualFold(proto, "https") || strings.EqualFold(proto, "wss")
}

// SetForwarded writes the forwarding headers and the id of a request that goes upstream.
// A trusted proxy's are kept and continued, anyone else's are replaced.
func (ex *Exchange) SetForwarded(out, in *http.Request) {
	h := out.Header
	peer, _, err := net.SplitHostPort(in.RemoteAddr)
	if err != nil {
		peer = in.RemoteAddr
	}
	h[forwardedHost], h[forwardedProto] = ex.value(valueHost, in.Host), overHTTP
	if in.TLS != nil {
		h[forwardedProto] = overHTTPS
	}
	h[RequestIDHeader] = ex.value(valueID, ex.ID)
	delete(h, forwarded)
	if ex.PeerTrusted {
		for _, name := range [...]string{forwarded, forwardedHost, forwardedProto} {
			if values, ok := in.Header[name]; ok {
				h[name] = values
			}
		}
		if prior := in.Header[forwardedFor]; len(prior) > 0 {
			peer = strings.Join(prior, ", ") + ", " + peer
		}
	}
	h[forwardedFor] = ex.value(valueFor, peer)
	ex.setLoop(h, in.Header)
}

// setLoop adds the group to what a request has passed.
func (ex *Exchange) setLoop(h, in http.Header) {
	prior := in[routing.LoopHeader]
	if len(prior) == 0 {
		h[routing.LoopHeader] = ex.Group.Hop
		return
	}
	h[routing.LoopHeader] = []string{strings.Join(prior, ", ") + ", " + ex.Group.Hop[0]}
}
