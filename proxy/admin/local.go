package admin

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// IsLocal reports whether only this machine can reach a listener on address: its host is
// localhost or a loopback IP address.
func IsLocal(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// ownName passes only requests whose Host is an IP address or localhost. So a web site
// whose name was made to resolve to this machine (DNS rebinding) can read nothing.
func ownName(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err != nil && host != "localhost" {
			http.Error(w, "ask by address, or as localhost; for other names set admin.token_file", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// noPage refuses requests for the status page where everyone could see calls and clients
// on it.
func noPage(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "the status page shows calls, clients and the configuration: it is served on a loopback address (admin.address), or to those who send the token of admin.token_file", http.StatusForbidden)
}
