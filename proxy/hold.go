package proxy

import (
	"errors"
	"net/http"
	"strings"

	"powerjob-shim/rules/access"
	"powerjob-shim/rules/openapi"
)

// hold reads a request's body into memory where a later link looks at it: the
// gate, the logins, dedup. A body that cannot be held goes on as a stream, and
// ex.unheld says why. All other requests are not touched.
func (p *Proxy) hold(next handler) handler {
	return func(w http.ResponseWriter, r *http.Request, ex *exchange) {
		if !ex.wantsBody(r) {
			next(w, r, ex)
			return
		}
		body, unheld, err := p.readBody(r, ex)
		defer body.release()
		if err != nil { // cut off, malformed: what is not whole is not forwarded as whole
			ex.failure, ex.hungUp = err, errors.Is(err, errBodyCut)
			ex.failBody(w, err)
			return
		}
		if ex.body, ex.unheld = body.bytes, unheld; unheld == "" {
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

// wantsBody reports whether a link after hold looks at the body.
func (ex *exchange) wantsBody(r *http.Request) bool {
	switch {
	case ex.underOpenAPI() && ex.snap.Access.Mode != access.Off, ex.call != nil && ex.call.Kind == openapi.Login:
		return true
	case ex.call != nil && ex.call.Name == newCall && ex.group.settings.RunJob2 != CompatOff:
		return true // translate reads it
	default:
		return ex.snap.Rules.Window() > 0 && ex.noted(r)
	}
}

// underOpenAPI reports whether the path is one of OpenAPI calls, known or not.
func (ex *exchange) underOpenAPI() bool { return strings.HasPrefix(ex.path, openapi.Prefix) }
