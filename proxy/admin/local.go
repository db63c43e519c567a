package admin

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// IsLocal reports whether an address to listen on is this machine's own.
func IsLocal(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// ownName lets only requests through whose Host is an address or localhost: a
// page of some web site whose name was pointed at this machine gets nothing.
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

// noPage answers in place of a page that would show calls and clients to everyone.
func noPage(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "the status page shows calls, clients and the configuration: it is served on a loopback address (admin.address), or to those who send the token of admin.token_file", http.StatusForbidden)
}
