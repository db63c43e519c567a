package proxy

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"

	"powerjob-shim/proxy/body"
	"powerjob-shim/proxy/listen"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/openapi"
)

// maxBodiesAtOnce bounds the memory of all bodies being held at once.
const maxBodiesAtOnce = 32 << 20

// hold reads a request's body into memory where a later link looks at it: the
// gate, the logins, dedup. A body that cannot be held goes on as a stream, and
// ex.unheld says why. All other requests are not touched.
func (p *Proxy) hold(next handler) handler {
	return func(w http.ResponseWriter, r *http.Request, ex *exchange) {
		if !ex.wantsBody(r) {
			next(w, r, ex)
			return
		}
		held, err := p.bodies.Hold(r, ex.incoming(r))
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

// incoming is the body of r, the exchange's request, as it comes.
func (ex *exchange) incoming(r *http.Request) body.Incoming {
	i := body.Incoming{In: &ex.in, Answer: &ex.answer, Pace: ex.pace, Limit: ex.snap.Dedup.maxBody()}
	if at := listen.PlaceOf(r); at != nil {
		i.Place = at
	}
	return i
}

// attach gives r the body that ex holds, to be read again where another
// connection must be tried.
func (ex *exchange) attach(r *http.Request) {
	r.ContentLength, r.TransferEncoding, r.GetBody = int64(len(ex.body)), nil, ex.newBody
	r.Body = http.NoBody
	if len(ex.body) > 0 {
		ex.firstBody.Reset(ex.body)
		r.Body = io.NopCloser(&ex.firstBody)
	}
}

// newBody returns the body that ex holds from its start.
func (ex *exchange) newBody() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(ex.body)), nil
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
