package proxy

import (
	"net"
	"net/http"
	"strconv"
	"strings"

	"powerjob-shim/rules/openapi"
)

// Redirect sends plain HTTP requests to https, with 308, which keeps the method.
type Redirect struct {
	Port int // of the https address; 0: 443

	// OpenAPI redirects calls under /openApi/ as well. By default they are
	// served: OkHttp 3.14 does not follow a 308 to a POST.
	OpenAPI bool
}

// door is what a listener does with its requests, as far as it differs from
// the others.
type door struct {
	// What a plain one answers instead of serving it.
	challenge func(http.ResponseWriter, *http.Request) bool // nil: none
	redirect  *Redirect                                     // nil: none

	pace bodyPace
}

type doorKey struct{}

// doorOf returns the door that r came through; nil: no listener's.
func doorOf(r *http.Request) *door {
	d, _ := r.Context().Value(doorKey{}).(*door)
	return d
}

// paceOf returns what is asked of r's body.
func paceOf(r *http.Request) bodyPace {
	if d := doorOf(r); d != nil {
		return d.pace
	}
	return bodyPace{timeout: defaultBodyTimeout}
}

// challenge answers the certificate authority's questions.
func (p *Proxy) challenge(next handler) handler {
	return func(w http.ResponseWriter, r *http.Request, ex *exchange) {
		if d := doorOf(r); d == nil || d.challenge == nil || !d.challenge(w, r) {
			next(w, r, ex)
		}
	}
}

// redirect sends plain requests to https, but for the calls.
func (p *Proxy) redirect(next handler) handler {
	return func(w http.ResponseWriter, r *http.Request, ex *exchange) {
		d := doorOf(r)
		if d == nil || d.redirect == nil || !d.redirect.OpenAPI && strings.HasPrefix(ex.path+"/", openapi.Prefix) ||
			ex.peerTrusted && cameSecurely(r.Header) { // to a proxy before us
			next(w, r, ex)
			return
		}
		if r.Host == "" {
			ex.fail(w, http.StatusBadRequest, "this address is for https; call it so")
			return
		}
		w.Header().Set("Location", d.redirect.location(r))
		w.WriteHeader(http.StatusPermanentRedirect)
	}
}

// location is r's address with https.
func (to *Redirect) location(r *http.Request) string {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		if host = h; strings.Contains(h, ":") {
			host = "[" + h + "]"
		}
	}
	if to.Port != 0 && to.Port != 443 {
		host += ":" + strconv.Itoa(to.Port)
	}
	return "https://" + host + requestURI(r)
}
