package proxy

import (
	"errors"
	"net/http"
	"time"

	"powerjob-shim/proxy/body"
)

// limitBody refuses requests whose body is larger than max_body. One that does
// not say how large it is breaks off there; the server sees no whole request.
func (p *Proxy) limitBody(next handler) handler {
	return func(w http.ResponseWriter, r *http.Request, ex *exchange) {
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

// failBody answers a request whose body could not be read to its end.
func (ex *exchange) failBody(w http.ResponseWriter, err error) {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		ex.fail(w, http.StatusRequestEntityTooLarge, "the request's body is larger than max_body")
		return
	}
	if errors.Is(err, body.ErrTooSlow) {
		ex.lastOnConn = true // the rest would come as slowly
		ex.fail(w, http.StatusBadRequest, "the request's body came too slowly (min_body_rate of the listener); send it again on a better line")
		return
	}
	// Should the caller still listen, it sees an error and not the empty 200 of
	// a handler that wrote nothing.
	ex.fail(w, http.StatusBadRequest, "the request's body broke off or is malformed; send it again as a whole")
}

// endBody bounds how long net/http waits for the rest of a body that nobody read
// to its end, before the answer or after it.
func (ex *exchange) endBody() {
	if ex.in.ReadCloser != nil && !ex.in.Ended() && ex.answer.status != http.StatusSwitchingProtocols {
		wait := ex.pace.Timeout
		if ex.answer.closing || ex.in.Broken() != nil {
			wait = 0 // nobody wants the rest
		}
		_ = http.NewResponseController(&ex.answer).SetReadDeadline(time.Now().Add(wait)) // not possible: then it may wait
	}
}
