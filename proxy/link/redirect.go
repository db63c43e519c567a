package link

import (
	"net"
	"net/http"
	"strconv"
	"strings"

	"powerjob-shim/proxy/exchange"
	"powerjob-shim/proxy/listen"
	"powerjob-shim/rules/openapi"
)

// Redirect sends plain requests to https, but for the calls.
func Redirect(next exchange.Handler) exchange.Handler {
	return func(w http.ResponseWriter, r *http.Request, ex *exchange.Exchange) {
		d := listen.DoorOf(r)
		if d == nil || d.Redirect == nil || !d.Redirect.OpenAPI && strings.HasPrefix(ex.Path+"/", openapi.Prefix) ||
			ex.PeerTrusted && exchange.CameSecurely(r.Header) { // to a proxy before us
			next(w, r, ex)
			return
		}
		if r.Host == "" {
			ex.Fail(w, http.StatusBadRequest, "this address is for https; call it so")
			return
		}
		w.Header().Set("Location", secureAddress(r, d.Redirect.Port))
		w.WriteHeader(http.StatusPermanentRedirect)
	}
}

// secureAddress is r's address with https, at a port; 0: 443.
func secureAddress(r *http.Request, port int) string {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		if host = h; strings.Contains(h, ":") {
			host = "[" + h + "]"
		}
	}
	if port != 0 && port != 443 {
		host += ":" + strconv.Itoa(port)
	}
	return "https://" + host + exchange.RequestURI(r)
}
