package proxy

import "net/http"

// Limit refuses requests whose body is larger than max_body. One that does
// not say how large it is breaks off there; the server sees no whole request.
func Limit(next Handler) Handler {
	return func(w http.ResponseWriter, r *http.Request, ex *Exchange) {
		bound := ex.snap.MaxBody
		switch {
		case bound <= 0:
		case r.ContentLength > bound:
			ex.lastOnConn = true // its body may still be on the way
			ex.failBody(w, &http.MaxBytesError{Limit: bound})
			return
		case r.ContentLength < 0:
			ex.in.ReadCloser = http.MaxBytesReader(w, ex.in.ReadCloser, bound)
		}
		next(w, r, ex)
	}
}
