package replay

import (
	"net/http"
	"strings"

	"powerjob-shim/proxy/exchange"
	"powerjob-shim/proxy/exchange/recorder"
	up "powerjob-shim/proxy/upstream"
	"powerjob-shim/rules/dedup"
	"powerjob-shim/rules/openapi"
)

// notReplayed are the fields of an answer's header that belong to the first answer
// alone, or to a coding of its body: the store keeps the body plain. The auth header
// is kept apart.
var notReplayed = map[string]bool{
	"Date": true, "Age": true, "Set-Cookie": true, exchange.RequestIDHeader: true, "Server-Timing": true, "Alt-Svc": true,
	"Content-Encoding": true, "Content-Length": true, "Etag": true,
	"Trailer": true, openapi.AuthKey: true, up.ShimHeader: true,
}

// ofReplays reports whether a replay carries the first answer's field of this
// canonical name. The hop-by-hop fields were removed before.
func ofReplays(name string) bool {
	return !notReplayed[name] && !strings.HasPrefix(name, http.TrailerPrefix)
}

// replay writes a recorded answer: it looks like the first one to the caller and
// to every browser, cache and hop on the way.
func (p *passage) replay(w http.ResponseWriter, a *dedup.Answer) error {
	p.ex.FromUpstream = true
	h, room := w.Header(), p.values[:0]
	set := func(name, value string) {
		if h[name] != nil || len(room) == cap(room) {
			h[name] = append(h[name], value)
			return
		}
		room = append(room, value)
		h[name] = room[len(room)-1 : len(room) : len(room)]
	}
	for name, value := range a.Header.All() {
		set(name, value)
	}
	if a.Auth != "" {
		set(openapi.AuthKey, a.Auth)
	}
	return recorder.WriteWhole(w, a.Status, a.Body)
}
