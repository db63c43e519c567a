package link

import (
	"errors"
	"net/http"

	"powerjob-shim/proxy/body"
	"powerjob-shim/proxy/exchange"
	"powerjob-shim/proxy/listen"
	"powerjob-shim/proxy/routing"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/openapi"
)

// Hold holds requests' bodies for the links behind it.
type Hold struct{ Bodies *body.Holder }

// Link reads a request's body into memory where a later link looks at it: the
// gate, the logins, dedup, translate. A body that cannot be held goes on as a stream, and
// ex.Unheld says why. All other requests are not touched.
func (h Hold) Link(next exchange.Handler) exchange.Handler {
	return func(w http.ResponseWriter, r *http.Request, ex *exchange.Exchange) {
		if !wantsBody(ex, r) {
			next(w, r, ex)
			return
		}
		held, err := h.Bodies.Hold(r, incoming(ex, r))
		defer held.Release()
		if err != nil { // cut off, malformed: what is not whole is not forwarded as whole
			ex.Failure, ex.HungUp = err, errors.Is(err, body.ErrCut)
			ex.FailBody(w, err)
			return
		}
		if ex.Body, ex.Unheld = held.Bytes, held.Why; held.Why == "" {
			chunked := r.ContentLength < 0
			ex.Attach(r)
			if chunked && ex.Snap.Observing { // it goes on as it came, an empty one too
				r.Body, _ = ex.NewBody()
				r.ContentLength, r.TransferEncoding = -1, []string{"chunked"}
			}
		}
		next(w, r, ex)
	}
}

// incoming is the body of r, the request of ex, as it comes.
func incoming(ex *exchange.Exchange, r *http.Request) body.Incoming {
	i := body.Incoming{In: &ex.In, Answer: &ex.Answer, Pace: ex.Pace, Limit: ex.Snap.Dedup.BodyBound()}
	if at := listen.PlaceOf(r); at != nil {
		i.Place = at
	}
	return i
}

// wantsBody reports whether a link after hold looks at the body.
func wantsBody(ex *exchange.Exchange, r *http.Request) bool {
	switch {
	case ex.UnderOpenAPI() && ex.Snap.Access.Mode != access.Off, ex.Call != nil && ex.Call.Kind == openapi.Login:
		return true
	case ex.Call != nil && ex.Call.Name == routing.RunJob2 && ex.Group.Settings.RunJob2 != routing.CompatOff:
		return true // translate reads it
	default:
		return ex.Snap.Rules.Window() > 0 && ex.Noted(r)
	}
}
