package proxy

import (
	"errors"
	"net/http"

	"powerjob-shim/proxy/body"
	"powerjob-shim/proxy/listen"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/openapi"
)

// Hold holds requests' bodies for the links behind it.
type Hold struct{ Bodies *body.Holder }

// Link reads a request's body into memory where a later link looks at it: the
// gate, the logins, dedup. A body that cannot be held goes on as a stream, and
// ex.unheld says why. All other requests are not touched.
func (h Hold) Link(next Handler) Handler {
	return func(w http.ResponseWriter, r *http.Request, ex *Exchange) {
		if !wantsBody(ex, r) {
			next(w, r, ex)
			return
		}
		held, err := h.Bodies.Hold(r, incoming(ex, r))
		defer held.Release()
		if err != nil { // cut off, malformed: what is not whole is not forwarded as whole
			ex.failure, ex.hungUp = err, errors.Is(err, body.ErrCut)
			ex.failBody(w, err)
			return
		}
		if ex.body, ex.unheld = held.Bytes, held.Why; held.Why == "" {
			chunked := r.ContentLength < 0
			ex.attach(r)
			if chunked && ex.snap.Observing { // it goes on as it came, an empty one too
				r.Body, _ = ex.newBody()
				r.ContentLength, r.TransferEncoding = -1, []string{"chunked"}
			}
		}
		next(w, r, ex)
	}
}

// incoming is the body of r, the request of ex, as it comes.
func incoming(ex *Exchange, r *http.Request) body.Incoming {
	i := body.Incoming{In: &ex.in, Answer: &ex.answer, Pace: ex.pace, Limit: ex.snap.Dedup.bodyBound()}
	if at := listen.PlaceOf(r); at != nil {
		i.Place = at
	}
	return i
}

// wantsBody reports whether a link after hold looks at the body.
func wantsBody(ex *Exchange, r *http.Request) bool {
	switch {
	case ex.underOpenAPI() && ex.snap.Access.Mode != access.Off, ex.call != nil && ex.call.Kind == openapi.Login:
		return true
	case ex.call != nil && ex.call.Name == runJob2 && ex.group.settings.RunJob2 != CompatOff:
		return true // translate reads it
	default:
		return ex.snap.Rules.Window() > 0 && ex.noted(r)
	}
}
